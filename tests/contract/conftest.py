"""Tests of what travels between the product and its clients."""

from support.stack import account, client, journal, other_client, stack, sync_client

__all__ = ["account", "client", "journal", "other_client", "stack", "sync_client"]
