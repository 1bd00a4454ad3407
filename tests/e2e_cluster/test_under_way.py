"""What is under way on a real cluster survives pods that leave, pods that are killed, and upgrades."""

import time
from functools import partial
from typing import Any

import pytest
from openai import OpenAI

from support.chart import COMPONENTS, merged, nested
from support.cluster_release import ClusterRelease, eventually
from support.under_way import LONG, complete, follow, in_background, respond

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]

# Production's, but for shorter drains.
_PATIENT = {
    "shutdown": {
        "preStopSeconds": 35,
        "endpointRemovalSeconds": 5,
        "drainSeconds": 60,
        "terminationGracePeriodSeconds": 120,
    }
}
# The forwarded port reaches one gateway's pod and dies with it, so only what can be followed again survives that.
_BEHIND = ("chat", "history", "user")


@pytest.fixture
def patient(release: ClusterRelease) -> dict[str, Any]:
    """Give pods time to finish what they do, and return the values with which they do so."""
    values = release.values()
    for component in COMPONENTS:
        values = merged(values, {component: _PATIENT})
    release.upgrade(values)
    release.reconnect()
    return values


def renewed(values: dict[str, Any], components: tuple[str, ...]) -> dict[str, Any]:
    """Return values that replace all pods of some components."""
    for component in components:
        values = merged(values, nested(f"{component}.podAnnotations.test", str(time.time())))
    return values


def start(client: OpenAI) -> str:
    """Start a background response and return its id."""
    return client.responses.create(model="echo", input=LONG, background=True).id


def test_background_response_survives_its_pod(client: OpenAI, release: ClusterRelease) -> None:
    response_id = start(client)
    time.sleep(2)
    for pod in release.pods("chat"):
        release.delete_pod(pod.metadata.name, grace_seconds=0)
    eventually(lambda: client.responses.retrieve(response_id).status == "completed", within_seconds=120)
    assert follow(client, response_id)


@pytest.mark.usefixtures("patient")
def test_pods_that_are_told_to_leave_finish_their_streams(client: OpenAI, release: ClusterRelease) -> None:
    waits = [in_background(partial(work, client)) for work in (complete, respond) for _ in range(4)]
    time.sleep(2)
    for component in _BEHIND:
        release.delete_pod(release.pods(component)[0].metadata.name)
    assert all(wait() for wait in waits)


def test_rolling_upgrade_cuts_no_stream(client: OpenAI, release: ClusterRelease, patient: dict[str, Any]) -> None:
    waits = [in_background(partial(work, client)) for work in (complete, respond) for _ in range(4)]
    release.upgrade(renewed(patient, _BEHIND))
    assert all(wait() for wait in waits)


def test_rolling_upgrade_of_everything_loses_no_event_of_a_background_response(
    client: OpenAI, release: ClusterRelease, patient: dict[str, Any]
) -> None:
    ids = [start(client) for _ in range(4)]
    waits = [in_background(partial(follow, client, each)) for each in ids]
    release.upgrade(renewed(patient, COMPONENTS))
    assert all(wait() for wait in waits)
