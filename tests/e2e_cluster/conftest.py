"""The product on a real cluster: `make test-e2e CONTEXT=kind-rostra`.

Namespace and datastores are those of `make kind-up`; the release is made, and removed at the end. Images must be where
the cluster finds them: TAG names their tag, REGISTRY their registry.
"""

import os
from collections.abc import Iterator

import pytest
from openai import OpenAI

from support.cluster_release import ClusterRelease


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip everything unless a cluster is named: what happens to be current is the wrong one, one day."""
    if os.environ.get("ROSTRA_E2E_CONTEXT"):
        return
    for item in items:
        if "e2e_cluster" in item.path.parts:
            item.add_marker(pytest.mark.skip(reason="no cluster: make test-e2e CONTEXT=<a context of kubectl>"))


@pytest.fixture(scope="session")
def release() -> Iterator[ClusterRelease]:
    """Install the chart with development values and two pods of each service, and remove it at the end."""
    with ClusterRelease.installed(os.environ["ROSTRA_E2E_CONTEXT"]) as release:
        yield release


@pytest.fixture
def client(release: ClusterRelease) -> Iterator[OpenAI]:
    """Yield the official SDK, signed in, through a port of the gateway's Service."""
    with OpenAI(base_url=f"{release.url}/v1", api_key=release.api_key, max_retries=0, timeout=60) as client:
        yield client
