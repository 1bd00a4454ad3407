"""A real API server takes all that the chart and k8s/ make, in namespaces that enforce Pod Security "restricted".

It is asked by dry run, with unknown keys refused and warnings taken for refusals; only namespaces, service accounts and
priority classes exist for a moment. ROSTRA_TEST_KUBECONFIG names a kubeconfig whose current context may do all this.
Kinds of operators are asked about where the server has their definitions.
"""

import copy
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from support.api_server import ApiServer
from support.chart import ROOT, Manifest, pod_templates, read_values, render, scenarios
from support.foreign_schemas import custom_kinds

_KUBECONFIG = os.environ.get("ROSTRA_TEST_KUBECONFIG", "")
_UNPUBLISHED = ("secrets-store.csi.x-k8s.io/v1", "SecretProviderClass")

pytestmark = [
    pytest.mark.skipif(not _KUBECONFIG, reason="no API server: ROSTRA_TEST_KUBECONFIG names no kubeconfig"),
    pytest.mark.timeout(300),
]


@pytest.fixture(scope="module")
def server() -> ApiServer:
    """Return the server."""
    return ApiServer(_KUBECONFIG)


@pytest.fixture
def namespace(server: ApiServer) -> Iterator[str]:
    """Yield a restricted namespace."""
    with server.restricted_namespace() as name:
        yield name


def moved(manifests: list[Manifest], namespace: str) -> list[Manifest]:
    """Return objects as they would be in another namespace; those of the cluster stay as they are."""
    found = copy.deepcopy(manifests)
    for each in found:
        if "namespace" in each["metadata"]:
            each["metadata"]["namespace"] = namespace
    return found


def served(server: ApiServer, manifests: list[Manifest]) -> list[Manifest]:
    """Return the objects whose kind the server knows; only operators' kinds may be unknown."""
    unknown = {(each["apiVersion"], each["kind"]) for each in manifests if not server.serves(each)}
    assert unknown <= custom_kinds() | {_UNPUBLISHED}
    return [each for each in manifests if server.serves(each)]


def test_server_takes_what_the_chart_makes(server: ApiServer, namespace: str, scenario: str) -> None:
    # The release has the namespace's name: what belongs to the cluster then is nobody else's.
    manifests = render(read_values(scenarios()[scenario]), release=namespace)
    manifests = served(server, moved(manifests, namespace))
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "rostra", "namespace": namespace}}
    with server.kept([account, *server.kept_for_pods(manifests)]):
        said = server.apply(manifests)
        assert said.count("serverside-applied") == len(manifests)
        server.create_pods(namespace, pod_templates(manifests))


@pytest.mark.parametrize(
    "path",
    sorted(path for path in (ROOT / "k8s").glob("*/*.yaml") if path.parent.name not in ("eksctl", "environments")),
    ids=lambda path: path.stem,
)
def test_server_takes_what_surrounds_the_chart(server: ApiServer, namespace: str, path: Path) -> None:
    manifests = served(server, moved(list(yaml.safe_load_all(path.read_text())), namespace))
    templates = pod_templates(manifests)
    for template in templates.values():
        # The claims that a StatefulSet makes a volume of.
        template["spec"]["volumes"].append({"name": "data", "emptyDir": {}})
    if manifests:
        server.apply(manifests)
    if templates:
        server.create_pods(namespace, templates)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"spec": {"hostNetwork": True}}, "violates PodSecurity"),
        ({"spec": {"terminationGracePeriod": 3}}, "unknown field"),
    ],
)
def test_server_refuses_pods_that_are_not_restricted_and_keys_that_it_does_not_know(
    server: ApiServer, namespace: str, broken: Manifest, message: str
) -> None:
    manifests = moved(render(read_values(scenarios()["least"]), release=namespace), namespace)
    (name, template), *_ = pod_templates(manifests).items()
    template = {**template, "spec": template["spec"] | broken["spec"]}
    with server.kept(server.kept_for_pods(manifests)), pytest.raises(AssertionError, match=message):
        server.create_pods(namespace, {name: template})
