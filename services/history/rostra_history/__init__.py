"""Conversations, items and responses."""
