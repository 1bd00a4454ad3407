"""Names for everything that Rostra stores."""

import secrets
import time


def new_id(prefix: str) -> str:
    """Return a new name such as `resp_0197…`: the prefix and 32 hexadecimal digits.

    The digits are a millisecond timestamp of 48 bits and 80 random bits, so that names sort by age, roughly, and cannot
    be guessed.
    """
    return f"{prefix}_{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"
