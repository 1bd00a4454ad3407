"""A cluster's ways without a cluster: pods are processes with the chart's own variables, probes and times.

What Kubernetes would do is played as it would do it: a rolling update makes a new pod, waits for its readiness and
tells an old one to leave; names lose the old one's address when DNS' cache has forgotten it, a load balancer when it
has heard; `preStop` passes, SIGTERM follows, and SIGKILL when the grace period is over. All times are the chart's,
shortened alike.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import httpx
from grpc_health.v1 import health_pb2, health_pb2_grpc

from rostra_kit.ports import free_port
from support.chart import Manifest, component_of, of_kind
from support.name_server import NameServer

_DOMAIN = ".rostra.svc.cluster.local"


@dataclass(slots=True)
class Timing:
    """How time passes.

    Attributes:
        scale: What the chart's seconds are multiplied by.
        dns_cache_seconds: How long DNS goes on answering what is no longer true, in the chart's seconds.
        load_balancer_seconds: How long the load balancer goes on sending requests to a pod that leaves, likewise.
    """

    scale: float
    dns_cache_seconds: float
    load_balancer_seconds: float

    async def pass_by(self, seconds: float) -> None:
        """Wait for so many of the chart's seconds."""
        await asyncio.sleep(seconds * self.scale)


class Pod:
    """One pod of a Deployment.

    Attributes:
        address: Its IP address.
        exit_code: Set when it has ended; negative when it had to be killed.
    """

    def __init__(
        self, deployment: Manifest, address: str, port: int, environment: Mapping[str, str], log: Path
    ) -> None:
        self.component = component_of(deployment)
        self.address, self.port = address, port
        self.exit_code: int | None = None
        self._spec = deployment["spec"]["template"]["spec"]
        (self._container,) = self._spec["containers"]
        self._environment, self._log = environment, log
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, timing: Timing) -> None:
        """Start it and return when its probes say that it lives and is ready, in the order of a kubelet."""
        with self._log.open("ab") as log:
            command = (sys.executable, "-m", f"rostra_{self.component}")
            self._process = await asyncio.create_subprocess_exec(
                *command, env={**os.environ, **self._environment}, stdout=log, stderr=log, start_new_session=True
            )
        for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
            probe = self._container[kind]
            while not await self._succeeds(probe):
                if self._process.returncode is not None:
                    raise RuntimeError(f"{self.component} ended: {self._log.read_text()[-2000:]}")
                await timing.pass_by(probe["periodSeconds"])

    async def leave(self, timing: Timing) -> None:
        """End it as a kubelet does: preStop, SIGTERM, and SIGKILL once the grace period is over."""
        assert self._process
        ending = asyncio.get_running_loop().time() + self._spec["terminationGracePeriodSeconds"] * timing.scale
        await timing.pass_by(self._container["lifecycle"]["preStop"]["sleep"]["seconds"])
        self._process.send_signal(signal.SIGTERM)
        with suppress(TimeoutError):
            async with asyncio.timeout_at(ending):
                await self._process.wait()
        await self.kill()

    async def kill(self) -> None:
        """End it at once, if it still runs."""
        if self._process:
            with suppress(ProcessLookupError):
                self._process.kill()
            self.exit_code = await self._process.wait()

    async def _succeeds(self, probe: Mapping[str, Any]) -> bool:
        if "httpGet" in probe:
            with suppress(httpx.TransportError):
                async with httpx.AsyncClient(timeout=probe["timeoutSeconds"]) as http:
                    answer = await http.get(f"http://{self.address}:{self.port}{probe['httpGet']['path']}")
                    return 200 <= answer.status_code < 400
            return False
        async with grpc.aio.insecure_channel(f"{self.address}:{self.port}") as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            request = health_pb2.HealthCheckRequest(service=probe["grpc"].get("service", ""))
            with suppress(grpc.aio.AioRpcError):
                answer = await stub.Check(request, timeout=probe["timeoutSeconds"])
                return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
        return False


@dataclass(slots=True)
class Cluster:
    """All pods, the names that they have, and who is behind the load balancer.

    Attributes:
        manifests: What the chart made.
        secrets: The value of each variable that the chart takes from a Secret.
        overrides: Variables that win over the chart's, by component: embedded stores need some.
        behind: Gateways that the load balancer sends requests to.
        told: What happened to which pod, and when, for whoever wonders about a failure.
    """

    manifests: list[Manifest]
    names: NameServer
    timing: Timing
    folder: Path
    secrets: Mapping[str, str]
    overrides: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    pods: dict[str, list[Pod]] = field(default_factory=dict)
    gone: list[Pod] = field(default_factory=list)
    behind: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    _ports: dict[str, int] = field(default_factory=dict)
    _made: int = 0

    async def install(self, *, replicas: int) -> None:
        """Start all pods; each becomes ready once those that it needs are."""
        deployments = of_kind(self.manifests, "Deployment")
        self._ports = {component_of(each): free_port() for each in deployments}
        for deployment in deployments:
            component = component_of(deployment)
            self.pods[component] = [self._new_pod(deployment) for _ in range(replicas)]
            self._publish(component, [pod.address for pod in self.pods[component]])
        await asyncio.gather(*(pod.start(self.timing) for pods in self.pods.values() for pod in pods))

    async def upgrade(self) -> None:
        """Replace all pods of all Deployments at once, as Helm does, and return when the old ones have ended."""
        await asyncio.gather(*(self._roll(each) for each in of_kind(self.manifests, "Deployment")))

    async def close(self) -> None:
        """End all pods at once."""
        await asyncio.gather(*(pod.kill() for pods in self.pods.values() for pod in [*pods, *self.gone]))

    async def _roll(self, deployment: Manifest) -> None:
        """Replace a Deployment's pods by maxSurge 1 and maxUnavailable 0."""
        assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
        component = component_of(deployment)
        leaving = []
        for old in list(self.pods[component]):
            new = self._new_pod(deployment)
            self.pods[component].append(new)
            await new.start(self.timing)
            self.pods[component].remove(old)
            self.gone.append(old)
            self._tell(f"{component} {old.address} leaves for {new.address}")
            self._forget_later(component)
            leaving.append(asyncio.create_task(old.leave(self.timing)))
        await asyncio.gather(*leaving)

    def _new_pod(self, deployment: Manifest) -> Pod:
        component = component_of(deployment)
        self._made += 1
        address = f"127.0.1.{self._made}"
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        environment = {each["name"]: self._value(each) for each in container["env"]}
        prefix = f"ROSTRA_{component.upper()}_LISTEN__"
        port = self._ports[component]
        environment |= {prefix + "HOST": address, prefix + "PORT": str(port), prefix + "METRICS_PORT": "0"}
        environment |= self._scaled(component, environment) | dict(self.overrides.get(component, {}))
        return Pod(deployment, address, port, environment, self.folder / f"{component}-{self._made}.log")

    def _value(self, variable: Mapping[str, Any]) -> str:
        """Return a variable's value: the Secret's, or with a target the name in our DNS and the port of our pods."""
        if "value" not in variable:
            return self.secrets[variable["name"]]
        value: str = variable["value"]
        if not value.startswith("dns:///"):
            return value
        name = value.removeprefix("dns:///").rpartition(":")[0]
        return f"dns://{self.names.authority}/{name}:{self._ports[self._component(name)]}"

    def _scaled(self, component: str, environment: Mapping[str, str]) -> dict[str, str]:
        names = [f"ROSTRA_{component.upper()}_SHUTDOWN__{name}_SECONDS" for name in ("ENDPOINT_REMOVAL", "DRAIN")]
        return {name: str(float(environment[name]) * self.timing.scale) for name in names}

    def _component(self, name: str) -> str:
        return name.removesuffix(_DOMAIN).removeprefix("rostra-")

    def _tell(self, what: str) -> None:
        self.told.append(f"{asyncio.get_running_loop().time():.1f} {what}")

    def _publish(self, component: str, addresses: list[str]) -> None:
        self._tell(f"{component} is known at {addresses}")
        if component == "gateway":
            self.behind = addresses
        else:
            self.names.set(f"rostra-{component}{_DOMAIN}", addresses)

    def _forget_later(self, component: str) -> None:
        """Let the present pods be known when caches have forgotten the former ones, or the load balancer has heard."""
        lag = self.timing.load_balancer_seconds if component == "gateway" else self.timing.dns_cache_seconds
        addresses = [pod.address for pod in self.pods[component]]
        asyncio.get_running_loop().call_later(lag * self.timing.scale, self._publish, component, addresses)

    def gateway_urls(self) -> list[str]:
        """Return where the load balancer sends requests now."""
        return [f"http://{address}:{self._ports['gateway']}" for address in self.behind]
