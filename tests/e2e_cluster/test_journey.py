"""The golden journey on a real cluster: install, use, break, roll back, scale."""

import time

import helm_python
import pytest
from kubernetes import client as kubernetes
from openai import APIStatusError, OpenAI

from support.chart import CHART, COMPONENTS, merged, nested
from support.cluster_release import NAMESPACE, RELEASE, ClusterRelease, eventually
from support.under_way import LONG, in_background

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]

_ONE_POD = {"type": "Pods", "value": 1, "periodSeconds": 15}


def test_release_passes_its_own_test(release: ClusterRelease) -> None:
    release.helm(lambda helm: helm.test(RELEASE, timeout=120))


def test_what_was_said_is_remembered(client: OpenAI) -> None:
    first = client.responses.create(model="echo", input="Hello!")
    second = client.responses.create(model="echo", input="And again?", previous_response_id=first.id)
    assert client.responses.retrieve(second.id).previous_response_id == first.id
    streamed = client.chat.completions.create(model="echo", messages=[{"role": "user", "content": "Hi"}], stream=True)
    assert "Hi" in "".join(chunk.choices[0].delta.content or "" for chunk in streamed if chunk.choices)


def test_failed_migration_leaves_what_runs(client: OpenAI, release: ClusterRelease) -> None:
    before = {pod.metadata.uid for component in COMPONENTS for pod in release.pods(component)}
    secret = release.secret("rostra-datastores")
    url = secret["user-database-url"].rpartition("/")[0] + "/missing"
    broken = merged(release.values(), nested("migration", {"backoffLimit": 0, "activeDeadlineSeconds": 120}))
    broken = merged(broken, nested("credentials.userDatabase.existingSecret", {"name": "broken", "key": "url"}))
    with release.other_secret("broken", {"url": url}), pytest.raises(helm_python.HelmError):
        release.upgrade(broken)
    assert before == {pod.metadata.uid for component in COMPONENTS for pod in release.pods(component)}
    assert client.responses.create(model="echo", input="Hello!").status == "completed"


def test_broken_secret_stops_at_the_first_new_pod_and_rolls_back(client: OpenAI, release: ClusterRelease) -> None:
    broken = merged(
        release.values(), nested("credentials.redis.existingSecret", {"name": "does-not-exist", "key": "url"})
    )
    with pytest.raises(helm_python.HelmError):
        release.helm(lambda helm: helm.upgrade(str(CHART), RELEASE, broken, wait="watcher", timeout=90))
    assert client.responses.create(model="echo", input="Hello!").status == "completed"
    release.roll_back()
    assert client.responses.create(model="echo", input="Hello!").status == "completed"


def test_autoscaler_adds_pods_under_load_and_removes_them_after(client: OpenAI, release: ClusterRelease) -> None:
    """Needs metrics-server; `make kind-up` does not bring it."""
    apis = {group.name for group in kubernetes.ApisApi().get_api_versions().groups}
    if "metrics.k8s.io" not in apis:
        pytest.skip("the cluster has no metrics-server")
    quick = {"scaleDown": {"stabilizationWindowSeconds": 15, "policies": [_ONE_POD]}}
    scaling = {"enabled": True, "minReplicas": 1, "maxReplicas": 3, "cpuPercent": 50, "behavior": quick}
    # Python keeps its memory: with development's small request that alone would keep the pods.
    resources = {"requests": {"cpu": "20m", "memory": "256Mi"}}
    release.upgrade(release.values(chat={"autoscaling": scaling, "resources": resources}))
    release.reconnect()
    ending = time.monotonic() + 240

    def load() -> bool:
        while time.monotonic() < ending and len(release.pods("chat")) < 2:
            # The account's limit of tokens, and a pod of development that leaves in a hurry, are no matter here.
            try:
                client.chat.completions.create(model="echo", messages=[{"role": "user", "content": LONG}])
            except APIStatusError:
                time.sleep(1)
        return True

    waits = [in_background(load) for _ in range(8)]
    eventually(lambda: len(release.pods("chat")) >= 2, within_seconds=240)
    assert all(wait() for wait in waits)
    eventually(lambda: len(release.pods("chat")) == 1, within_seconds=300)

    def scaled_to() -> int | None:
        scalers = kubernetes.AutoscalingV2Api()
        return scalers.read_namespaced_horizontal_pod_autoscaler(f"{RELEASE}-chat", NAMESPACE).status.current_replicas

    eventually(lambda: scaled_to() == 1, within_seconds=60)
