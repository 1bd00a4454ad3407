"""How long fuzzers go on, and what they watch in the processes that they trouble."""

import os
import random
from pathlib import Path

_SHORT_REQUESTS = 1500


def fuzz_requests() -> int:
    """Return how many requests each fuzzer makes: `ROSTRA_FUZZ_REQUESTS`, by default what fits in half a minute."""
    return int(os.environ.get("ROSTRA_FUZZ_REQUESTS") or _SHORT_REQUESTS)


def fuzz_random() -> random.Random:
    """Return the source of all that a fuzzer chooses: `ROSTRA_FUZZ_SEED` repeats a run."""
    return random.Random(int(os.environ.get("ROSTRA_FUZZ_SEED") or 1))


def resident_megabytes(pid: int) -> float:
    """Return the memory that a process holds; 0 where the system does not tell."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return 0.0
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024
