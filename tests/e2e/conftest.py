"""Tests of the whole product, as its clients use it."""

from support.stack import account, client, http, journal, other_client, other_http, stack, sync_client

__all__ = ["account", "client", "http", "journal", "other_client", "other_http", "stack", "sync_client"]
