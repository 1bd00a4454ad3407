"""Which processes make up a stack, and with which settings."""

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rostra_kit.ports import LOOPBACK, free_port
from rostra_stack.config import StackConfig

Probe = Literal["tcp", "grpc", "http"]

# An account of this machine's own user may do more than strangers from one address.
_LOCAL_DEFAULTS = {
    "ROSTRA_USER_REGISTRATION": "open",
    "ROSTRA_GATEWAY_ADDRESS_LIMITS__SIGN_INS_PER_MINUTE": "600",
    "GRPC_VERBOSITY": "ERROR",
}
_DRAIN_SECONDS = "10"


@dataclass(frozen=True, slots=True)
class ProcessPlan:
    """One process of the stack.

    Attributes:
        name: What it is called in messages and by its log file: `chat`, or `chat-2` when there are several.
        command: The program and its arguments.
        port: Where it listens.
        probe: How to find out that it is ready.
        probe_port: Where, if not where it listens.
        environment: Its settings.
        service: What it is one replica of.
        metrics_port: Where it tells its metrics, if it does.
    """

    name: str
    command: tuple[str, ...]
    port: int
    probe: Probe
    environment: Mapping[str, str] = field(default_factory=dict)
    probe_port: int | None = None
    service: str = ""
    metrics_port: int | None = None

    @property
    def probe_address(self) -> str:
        """Return host and port for the probe."""
        return f"{LOOPBACK}:{self.probe_port or self.port}"

    @property
    def address(self) -> str:
        """Return host and port."""
        return f"{LOOPBACK}:{self.port}"


def plan_stack(config: StackConfig) -> list[ProcessPlan]:
    """Return the processes of a stack in the order in which they are started; they end in the reverse order."""
    data = config.data
    given = {**os.environ, **config.environment}
    redis = [] if "ROSTRA_USER_REDIS__URL" in given else [_redis(data)]
    redis_url = f"redis://{redis[0].address}/0" if redis else given["ROSTRA_USER_REDIS__URL"]
    ports = {
        "user": [free_port() for _ in range(config.users)],
        "history": [free_port() for _ in range(config.histories)],
        "chat": [free_port() for _ in range(config.chats)],
        "gateway": [config.port or free_port(), *(free_port() for _ in range(config.gateways - 1))],
    }
    targets = {name: "ipv4:" + ",".join(f"{LOOPBACK}:{port}" for port in found) for name, found in ports.items()}
    settings = {
        "user": {
            "DATABASE__URL": f"sqlite+aiosqlite:///{data}/user.sqlite3",
            "SIGNING_KEYS_DIRECTORY": str(data / "signing-keys"),
            "HISTORY__TARGET": targets["history"],
            "REDIS__URL": redis_url,
        },
        "history": {"DATABASE__URL": f"sqlite:///{data}/history.sqlite3"},
        "chat": {"HISTORY__TARGET": targets["history"], "USER__TARGET": targets["user"], "REDIS__URL": redis_url},
        "gateway": {
            "USER__TARGET": targets["user"],
            "CHAT__TARGET": targets["chat"],
            "HISTORY__TARGET": targets["history"],
            "REDIS__URL": redis_url,
        },
    }
    plans = redis
    for service, service_ports in ports.items():
        plans += _replicas(service, service_ports, settings[service], given)
    return plans


def _replicas(service: str, ports: list[int], settings: dict[str, str], given: dict[str, str]) -> list[ProcessPlan]:
    prefix = f"ROSTRA_{service.upper()}_"
    defaults = {prefix + "SHUTDOWN__DRAIN_SECONDS": _DRAIN_SECONDS, **_LOCAL_DEFAULTS}
    defaults |= {prefix + name: value for name, value in settings.items()}
    # By mutual TLS a service's port answers nobody without a certificate.
    health_ports = [free_port() if prefix + "LISTEN__TLS__CERT_FILE" in given else None for _ in ports]
    metrics_ports = [int(given.get(prefix + "LISTEN__METRICS_PORT", 0)) or free_port() for _ in ports]
    return [
        ProcessPlan(
            name=service if len(ports) == 1 else f"{service}-{number}",
            command=(sys.executable, "-m", f"rostra_{service}"),
            port=port,
            probe="http" if service == "gateway" else "grpc",
            probe_port=health_port,
            service=service,
            metrics_port=metrics_port,
            environment={
                **defaults,
                **given,
                prefix + "LISTEN__PORT": str(port),
                prefix + "LISTEN__METRICS_PORT": str(metrics_port),
                **({prefix + "LISTEN__HEALTH_PORT": str(health_port)} if health_port else {}),
            },
        )
        for number, (port, health_port, metrics_port) in enumerate(
            zip(ports, health_ports, metrics_ports, strict=True), 1
        )
    ]


def _redis(data: Path) -> ProcessPlan:
    """Plan a real server when there is one on PATH; it keeps its data. The built-in one forgets it at the end."""
    port = free_port()
    server = shutil.which("valkey-server") or shutil.which("redis-server")
    command: tuple[str, ...] = (sys.executable, "-m", "rostra_stack.embedded_redis", str(port))
    if server:
        folder = data / "redis"
        folder.mkdir(parents=True, exist_ok=True)
        options = ("--port", str(port), "--bind", LOOPBACK, "--dir", str(folder), "--appendonly", "yes", "--save", "")
        command = (server, *options)
    return ProcessPlan(name="redis", command=command, port=port, probe="tcp", environment=dict(os.environ))
