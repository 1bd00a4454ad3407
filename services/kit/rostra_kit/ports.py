"""Ports of this machine's loopback address, for processes that are started together."""

import errno
import random
import socket

LOOPBACK = "127.0.0.1"
# Below what Linux (32768 up) and macOS (49152 up) give to outgoing connections: a port chosen now is still free when
# the process that is told of it comes to listen.
_CHOICE = range(20_000, 32_000)


def free_port() -> int:
    """Return a port on which nothing listens now."""
    while True:
        port = random.choice(_CHOICE)  # noqa: S311 - nothing is kept secret by it
        if not is_taken(port):
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
