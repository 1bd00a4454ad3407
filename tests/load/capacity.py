"""Print the pods that so many users need, from measured unit costs: the table of docs/capacity.md.

Users chat: each sends a message now and then and reads an answer that is streamed and stored.
"""

import argparse
import math
import sys
from dataclasses import dataclass

# Milliseconds of CPU, measured: of a stored response without its tokens, and of a token streamed every 20 ms.
TURN_MS = {"gateway": 0.86, "chat": 1.4, "history": 1.5, "user": 0.10, "redis": 0.30}
TOKEN_MS = {"gateway": 0.065, "chat": 0.074}
STREAM_MIB = 0.1
IDLE_MIB = {"gateway": 117, "chat": 90, "history": 80, "user": 122}
# A pod is one process with one event loop: it cannot use more than a core, and is slow before it does.
FULL_AT = 0.7
LEAST_PODS = 2


@dataclass(frozen=True, slots=True)
class Habit:
    """What a user does."""

    seconds_between_messages: float
    tokens: int
    tokens_per_second: float


def cores(users: int, habit: Habit) -> dict[str, float]:
    """Return the cores that each service uses."""
    turns = users / habit.seconds_between_messages
    return {name: turns * (ms + TOKEN_MS.get(name, 0) * habit.tokens) / 1000 for name, ms in TURN_MS.items()}


def pods(used: float) -> int:
    """Return the pods that so many cores of work need."""
    return max(LEAST_PODS, math.ceil(used / FULL_AT))


def row(users: int, habit: Habit) -> str:
    """Return a row of the table."""
    used = cores(users, habit)
    streams = users / habit.seconds_between_messages * habit.tokens / habit.tokens_per_second
    services = " | ".join(str(pods(used[name])) for name in IDLE_MIB)
    memory = sum(pods(used[name]) * mib for name, mib in IDLE_MIB.items()) + 2 * streams * STREAM_MIB
    return (
        f"| {users:,} | {users / habit.seconds_between_messages:,.0f} | {streams:,.0f} | {services} "
        f"| {used['redis']:.2f} | {sum(used.values()):.1f} | {memory / 1024:,.1f} |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds-between-messages", type=float, default=60.0)
    parser.add_argument("--tokens", type=int, default=300, help="tokens of an answer")
    parser.add_argument("--tokens-per-second", type=float, default=50.0)
    arguments = parser.parse_args()
    habit = Habit(arguments.seconds_between_messages, arguments.tokens, arguments.tokens_per_second)
    sys.stdout.write("\n".join(row(users, habit) for users in (1_000, 10_000, 100_000, 1_000_000)) + "\n")


if __name__ == "__main__":
    main()
