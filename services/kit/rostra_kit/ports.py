"""Ports of this machine's loopback address, for processes that are started together."""

import errno
import fcntl
import os
import secrets
import socket
import tempfile
from pathlib import Path

LOOPBACK = "127.0.0.1"
# Below what Linux (32768 up) and macOS (49152 up) give to outgoing connections: a port chosen now is still free when
# the process that is told of it comes to listen.
_CHOICE = range(20_000, 32_000)
# Where the processes of one user agree on whose turn is which port.
_TURN = Path(tempfile.gettempdir()) / f"rostra-next-port-{os.getuid()}"


def free_port() -> int:
    """Return a port on which nothing listens now.

    All others are given out before it is given again, whichever process asks: whoever was told of it may not listen on
    it yet, or may be about to start again.
    """
    while is_taken(port := _next_port()):
        pass
    return port


def is_taken(port: int) -> bool:
    """Tell whether something listens on `port` already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return True
            raise
        return False


def _next_port() -> int:
    with os.fdopen(os.open(_TURN, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "r+") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        written = turn.read()
        place = int(written) if written.isdecimal() else secrets.randbelow(len(_CHOICE))
        turn.seek(0)
        turn.truncate()
        turn.write(str((place + 1) % len(_CHOICE)))
    return _CHOICE[place % len(_CHOICE)]
