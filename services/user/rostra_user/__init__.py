"""Accounts, sessions, API keys, plans and the usage ledger."""
