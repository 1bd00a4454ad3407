"""Puts what takes longest first, so that the processes which share the tests end at about the same time."""

import os
from pathlib import Path

import pytest

# Tests that use gRPC start processes. Its handlers of `fork` would run in them before they are programs of their own,
# and abort there at times.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "false"

_LONGEST_FIRST = ("chaos", "test_rolling_upgrade.py", "test_schemathesis.py", "e2e", "fuzz", "integration")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the tests by the first of the longest folders or files that they are in; the order is kept otherwise."""
    items.sort(key=lambda item: _place(item.path))


def _place(path: Path) -> int:
    return next((place for place, name in enumerate(_LONGEST_FIRST) if name in path.parts), len(_LONGEST_FIRST))
