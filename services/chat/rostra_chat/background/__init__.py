"""Responses that outlive their clients and their runners; docs/adr/0011-* says how and why."""
