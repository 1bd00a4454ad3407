"""What a process of this machine uses, as Linux tells it."""

import os
import time
from pathlib import Path

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def resident_bytes(pid: int) -> int:
    """Return the memory that a process has in use."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has had, threads that have ended included, finer than `/proc/PID/stat`."""
    return time.clock_gettime(~pid << 3 | 2)  # which is what Linux' clock_getcpuclockid makes of it


def open_sockets(pid: int) -> int:
    """Return the number of sockets that a process has open."""
    found = 0
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found += descriptor.readlink().name.startswith("socket:")
        except FileNotFoundError:  # closed meanwhile
            continue
    return found
