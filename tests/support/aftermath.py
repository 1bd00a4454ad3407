"""What must be so when a stack has been through something: in its database, its Redis and its logs."""

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
from redis.asyncio import Redis

from rostra_kit.usage_queue import OPEN_CALL_EVENTS, OPEN_CALL_LAPSES, USAGE_STREAM
from rostra_stack.stack import Stack

# The queue, and the calls that wait in it to be billed.
_MEANT_TO_STAY = {key.encode() for key in (USAGE_STREAM, OPEN_CALL_EVENTS, OPEN_CALL_LAPSES)}


def stored_responses(stack_data: Path) -> dict[str, str]:
    """Return the status of each response in the database."""
    return {
        row["id"]: row["status"] for row in _rows(stack_data / "history.sqlite3", "SELECT id, status FROM response")
    }


def stored_outputs(stack_data: Path) -> Counter[str]:
    """Return how many output items each response has in the database."""
    query = "SELECT response_id, COUNT(*) AS n FROM item WHERE kind = 'output' GROUP BY 1"
    return Counter({row["response_id"]: row["n"] for row in _rows(stack_data / "history.sqlite3", query)})


def waiting_responses(stack_data: Path) -> int:
    """Return how many responses the queue still knows."""
    [row] = _rows(stack_data / "history.sqlite3", "SELECT COUNT(*) AS n FROM run")
    return int(row["n"])


def run_tries(stack_data: Path) -> dict[str, tuple[str, int]]:
    """Return for each response that has not ended its status, and how many runners have tried it."""
    query = "SELECT id, status, tries FROM run JOIN response ON id = response_id"
    return {row["id"]: (row["status"], row["tries"]) for row in _rows(stack_data / "history.sqlite3", query)}


def attempts(stack: Stack) -> Counter[str]:
    """Return how often runners have tried the responses of each model: once, and once for each takeover in the logs."""
    query = "SELECT id, json_extract(body, '$.model') AS model FROM response"
    models = {row["id"]: row["model"] for row in _rows(stack.data / "history.sqlite3", query)}
    lines = [
        orjson.loads(line)
        for name, child in stack.children.items()
        if name.startswith("chat")
        for line in child.log.read_bytes().splitlines()
        if b"is taken over" in line
    ]
    return Counter(models.values()) + Counter(models[line["response_id"]] for line in lines)


def redis_of(stack: Stack) -> Redis:
    """Return a client of the stack's Redis."""
    return Redis.from_url(f"redis://{stack.children['redis'].plan.address}/0")


async def immortal_keys(redis: Redis) -> list[bytes]:
    """Return the keys that would stay for ever, but for the one queue that is meant to."""
    keys = [key async for key in redis.scan_iter(count=1000) if key not in _MEANT_TO_STAY]
    return [key for key in keys if await redis.pttl(key) == -1]


async def held_claims(redis: Redis) -> int:
    """Return how many slots and holds of money are taken at this moment."""
    seconds, microseconds = await redis.time()
    now_ms = seconds * 1000 + microseconds // 1000
    keys = [key async for key in redis.scan_iter("limit:*", count=1000, _type="zset")]
    return sum([await redis.zcount(key, now_ms, "+inf") for key in keys])


def assert_calm_logs(stack: Stack) -> None:
    """Check that every process runs, and that none met what nobody foresaw.

    That a dependency was silent for a moment is foreseen: it is a warning, which names the cause.
    """
    for name, child in stack.children.items():
        assert child.is_running, f"{name} has ended: {child.log}"
        for line in child.log.read_text(errors="replace").splitlines():
            assert not line.startswith("Traceback"), f"{name}: {child.log}"
            assert '"level":"ERROR"' not in line, f"{name}: {line[:3000]}"
            assert '"level":"CRITICAL"' not in line, f"{name}: {line[:3000]}"


def _rows(database: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        return connection.execute(query).fetchall()
