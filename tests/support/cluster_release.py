"""A release of the chart on a real cluster, for `make test-e2e`."""

import base64
import os
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import helm_python
import httpx
from kubernetes import client as kubernetes
from kubernetes import config as kubernetes_config

from rostra_kit.ports import free_port
from support.chart import CHART, ROOT, merged, read_values
from support.stack import register

NAMESPACE = "rostra"
RELEASE = "rostra"
_DATASTORES, _SIGNING_KEYS = "rostra-datastores", "rostra-signing-keys"
_INSTALL_SECONDS = 600


@dataclass(slots=True)
class ClusterRelease:
    """An installed release.

    Attributes:
        context: The context of kubectl.
        url: Where the gateway is reached from here, without `/v1`.
        api_key: A key of an account made for the tests.
    """

    context: str
    url: str
    api_key: str = ""
    _forward: subprocess.Popen[bytes] | None = None

    @classmethod
    @contextmanager
    def installed(cls, context: str) -> Iterator["ClusterRelease"]:
        """Install the release in the cluster of `context`, reach it by a forwarded port, and remove it at the end."""
        kubernetes_config.load_kube_config(context=context)
        release = cls(context, f"http://127.0.0.1:{free_port()}")
        assert not release._exists(), f"{RELEASE} is installed in {NAMESPACE} of {context} already; remove it first"
        try:
            release.helm(lambda helm: helm.install(str(CHART), RELEASE, release.values(), **_WAITING))
            release.reconnect()
            release.api_key = register(release.url).api_key
            yield release
        finally:
            release._disconnect()
            release.helm(lambda helm: helm.uninstall(RELEASE, ignore_not_found=True, wait="watcher", timeout=300))

    def values(self, **more: Any) -> dict[str, Any]:
        """Return the development values with two pods each, and `more` over them."""
        image = {"tag": os.environ.get("ROSTRA_E2E_TAG", ""), "registry": os.environ.get("ROSTRA_E2E_REGISTRY", "")}
        own = {
            "images": image,
            "development": {"writableRoot": False},
            "defaults": {"replicas": 2},
            "gateway": {"settings": {"addressLimits": {"requestsPerMinute": 1_000_000, "signInsPerMinute": 1000}}},
        }
        return merged(merged(read_values(ROOT / "k8s/environments/dev/values.yaml"), own), more)

    def helm(self, use: Callable[[helm_python.Config], Any]) -> Any:
        """Use Helm on this cluster."""
        with helm_python.Config(namespace=NAMESPACE, kube_context=self.context) as helm:
            return use(helm)

    def upgrade(self, values: dict[str, Any]) -> None:
        """Upgrade the release and wait for it."""
        self.helm(lambda helm: helm.upgrade(str(CHART), RELEASE, values, **_WAITING))

    def roll_back(self) -> None:
        """Go back to the revision that Helm calls deployed: one back may have failed too."""
        revisions = self.helm(lambda helm: list(helm.history(RELEASE)))
        (deployed,) = [each for each in revisions if each["status"] == "deployed"]
        self.helm(lambda helm: helm.rollback(RELEASE, version=deployed["revision"], wait="watcher", timeout=300))

    def pods(self, component: str) -> list[Any]:
        """Return a component's pods that are not leaving."""
        found = kubernetes.CoreV1Api().list_namespaced_pod(NAMESPACE, label_selector=_selector(component)).items
        return [pod for pod in found if pod.metadata.deletion_timestamp is None]

    def delete_pod(self, name: str, *, grace_seconds: int | None = None) -> None:
        """Tell a pod to leave, or kill it with a grace of 0."""
        kubernetes.CoreV1Api().delete_namespaced_pod(name, NAMESPACE, grace_period_seconds=grace_seconds)

    def secret(self, name: str) -> dict[str, str]:
        """Return what a Secret holds."""
        data = kubernetes.CoreV1Api().read_namespaced_secret(name, NAMESPACE).data
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    @contextmanager
    def other_secret(self, name: str, data: dict[str, str]) -> Iterator[None]:
        """Let a Secret exist while the context is open."""
        api = kubernetes.CoreV1Api()
        metadata = kubernetes.V1ObjectMeta(name=name)
        api.create_namespaced_secret(NAMESPACE, kubernetes.V1Secret(metadata=metadata, string_data=data))
        try:
            yield
        finally:
            api.delete_namespaced_secret(name, NAMESPACE)

    def _exists(self) -> bool:
        return bool(self.helm(lambda helm: [each for each in helm.list(all_states=True) if each["name"] == RELEASE]))

    def reconnect(self) -> None:
        """Reach the gateway through a pod that is not about to leave; streams under way are cut."""
        self._disconnect()
        port = self.url.rpartition(":")[2]
        kubectl = f"kubectl --context {shlex.quote(self.context)} -n {NAMESPACE}"
        pods = f"{kubectl} get pods -l {_selector('gateway')} -o go-template={shlex.quote(_STAYING)} | head -n 1"
        # A forwarded port dies with its pod: it is opened again until the end.
        script = f"while true; do {kubectl} port-forward pod/$({pods}) {port}:8080; sleep 0.2; done"
        self._forward = subprocess.Popen(["/bin/sh", "-c", script], start_new_session=True)
        eventually(lambda: httpx.get(f"{self.url}/readyz").status_code == 200, within_seconds=60)

    def _disconnect(self) -> None:
        if self._forward:
            os.killpg(self._forward.pid, 15)
            self._forward.wait()
            self._forward = None


# The names of pods that are not leaving.
_STAYING = '{{range .items}}{{if not .metadata.deletionTimestamp}}{{.metadata.name}}{{"\\n"}}{{end}}{{end}}'


def _selector(component: str) -> str:
    return f"app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component={component}"


_WAITING: dict[str, Any] = {"wait": "watcher", "timeout": _INSTALL_SECONDS}


def eventually(check: Callable[[], bool], *, within_seconds: float) -> None:
    """Ask until `check` says yes; an HTTP client's error is a no.

    Raises:
        TimeoutError: It did not in time.
    """
    deadline = time.monotonic() + within_seconds
    while time.monotonic() < deadline:
        try:
            if check():
                return
        except httpx.TransportError:
            pass
        time.sleep(0.5)
    raise TimeoutError(f"not within {within_seconds} s")
