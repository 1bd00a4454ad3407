"""How a process keeps memory: what Python's collector of cycles looks at, and what goes back to the system."""

import ctypes
import gc

_YOUNG_OBJECTS = 20_000
# Parameters of mallopt(3) in glibc.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGE_BYTES, _KEPT_BYTES = 1 << 20, 2 << 20


def settle_memory() -> None:
    """Make the process ready for a long life: call it once, when it is set up."""
    _settle_collector()
    _give_large_blocks_back()


def _settle_collector() -> None:
    """Leave out of all collections what exists now, and make them rarer.

    Modules, routes and schemas, some hundred thousand objects, live as long as the process, and looking at them again
    and again found nothing. A request leaves few cycles behind, so it does no harm that they wait a little longer.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS)


def _give_large_blocks_back() -> None:
    """Have blocks of a mebibyte or more come from the system, and go back to it as soon as they are freed.

    By itself glibc takes each large block that is freed as a sign that the next one of its size, up to 32 MiB, had
    better be kept (mallopt(3), M_MMAP_THRESHOLD): every thread that has hashed a password keeps the 19 MiB it took.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # other libraries for C keep nothing
        mallopt(_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
