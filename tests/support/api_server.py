"""A Kubernetes API server that tests ask, by kubectl, what it thinks of objects."""

import json
import subprocess
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from support.chart import Manifest

_MODES = ("enforce", "audit", "warn")
_APPLY = ("apply", "--server-side", "--force-conflicts", "--field-manager=rostra-tests", "--validate=strict")
# Pods are refused unless these are there already.
_KEPT = ("ServiceAccount", "PriorityClass")


class ApiServer:
    """An API server.

    Attributes:
        kubeconfig: The file whose current context names it.
    """

    def __init__(self, kubeconfig: str) -> None:
        self.kubeconfig = kubeconfig
        self._kinds = self._read_kinds()

    def serves(self, manifest: Manifest) -> bool:
        """Tell whether the server knows the kind of an object."""
        return (manifest["apiVersion"], manifest["kind"]) in self._kinds

    def apply(self, manifests: Iterable[Manifest], *, stays: bool = False) -> str:
        """Apply objects on the server's side, and return what it says; unless they `stay`, it does all but store them.

        Raises:
            AssertionError: It refuses one, unknown keys included, or warns.
        """
        return self._kubectl(*_APPLY, *([] if stays else ["--dry-run=server"]), "--filename=-", objects=manifests)

    def create_pods(self, namespace: str, templates: Mapping[str, Manifest]) -> None:
        """Do all but make a pod of each template, for some things are enforced upon pods alone.

        Raises:
            AssertionError: The server refuses one, or warns.
        """
        pods = [
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": name.lower().replace("/", "-"),
                    "namespace": namespace,
                    "labels": template["metadata"].get("labels", {}),
                },
                "spec": template["spec"],
            }
            for name, template in templates.items()
        ]
        self._kubectl("create", "--dry-run=server", "--validate=strict", "--filename=-", objects=pods)

    @contextmanager
    def restricted_namespace(self) -> Iterator[str]:
        """Yield the name of a namespace that enforces Pod Security "restricted"; it is deleted afterwards."""
        name = f"rostra-test-{uuid.uuid4().hex[:8]}"
        labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in _MODES}
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        # A controller would make it, a moment later.
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}}
        with self.kept([namespace, account]):
            yield name

    @contextmanager
    def kept(self, manifests: Iterable[Manifest]) -> Iterator[None]:
        """Let objects exist while the context is open."""
        kept = list(manifests)
        self.apply(kept, stays=True)
        try:
            yield
        finally:
            self._kubectl("delete", "--wait=false", "--ignore-not-found", "--filename=-", objects=kept)

    def kept_for_pods(self, manifests: Iterable[Manifest]) -> list[Manifest]:
        """Return those of the objects without which the server takes no pod."""
        return [each for each in manifests if each["kind"] in _KEPT]

    def _read_kinds(self) -> set[tuple[str, str]]:
        lines = self._kubectl("api-resources", "--no-headers").splitlines()
        # NAME, perhaps SHORTNAMES, APIVERSION, NAMESPACED, KIND
        return {(line.split()[-3], line.split()[-1]) for line in lines}

    def _kubectl(self, *arguments: str, objects: Iterable[Any] = ()) -> str:
        items = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        done = subprocess.run(
            ["kubectl", f"--kubeconfig={self.kubeconfig}", "--request-timeout=60s", *arguments],
            input=json.dumps(items),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        assert not done.stderr, done.stderr
        return done.stdout
