"""Tests of the whole product, as its clients use it."""

from support.stack import account, client, journal, other_client, stack, sync_client

__all__ = ["account", "client", "journal", "other_client", "stack", "sync_client"]
