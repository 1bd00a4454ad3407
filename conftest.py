"""Lets test processes that run side by side choose ports that are theirs alone."""

import os

from rostra_kit import ports

_WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))

# Between the look whether a port is free and its use, the other process must not choose it too.
ports._CHOICE = ports._CHOICE[_WORKER::_WORKERS]  # noqa: SLF001 - tests alone run side by side
