"""Tests of the whole product, as its clients use it."""

import pytest

from support.stack import account, client, http, journal, other_client, other_http, stack, sync_client
from support.stack_servers import CHOSEN

__all__ = ["account", "client", "http", "journal", "other_client", "other_http", "stack", "sync_client"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where the shared stack stands on servers that were named, run the tests that use it, and no others."""
    if CHOSEN:
        others = [item for item in items if not _uses_shared_stack(item)]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]


def _uses_shared_stack(item: pytest.Item) -> bool:
    """Tell whether a test's fixture of that name is the shared one; some modules have one of their own."""
    [*_, found] = item._fixtureinfo.name2fixturedefs.get("stack", [None])
    return found is not None and found.func is stack.__wrapped__
