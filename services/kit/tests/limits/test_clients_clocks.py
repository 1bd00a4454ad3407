"""The clocks of those who ask do not matter: Redis' own decides."""

import asyncio
import subprocess
import sys
from collections import Counter
from uuid import uuid4

_DAY_SECONDS = 86_400
_LIMIT = 30
# A process whose clocks are wrong takes what it can get, and prints what that was.
_CLIENT = """
import asyncio, sys, time
url, tag, skew = sys.argv[1], sys.argv[2], float(sys.argv[3])
right, right_ns = time.time, time.time_ns
time.time = lambda: right() + skew
time.time_ns = lambda: right_ns() + int(skew * 1e9)
from rostra_kit.testing.redis_server import redis_client
from rostra_kit.limits import Grant, RateClaim, RedisLimiter, SlotClaim

async def main():
    async with redis_client(url) as redis:
        limiter = RedisLimiter(redis)
        claims = [
            RateClaim("requests", f"limit:{{{tag}}}:rpm", limit=30, period_seconds=86_400),
            SlotClaim("streams", f"limit:{{{tag}}}:streams", limit=1_000),
        ]
        for number in range(30):
            outcome = await limiter.reserve(claims, reservation_id=f"{skew}-{number}", hold_seconds=600)
            if isinstance(outcome, Grant):
                assert await limiter.renew(outcome)
                print("granted", 30 - outcome.states[0].remaining, outcome.states[1].remaining)
            else:
                print("refused", 0 < outcome.retry_after_seconds <= 86_400 / 30)

asyncio.run(main())
"""


async def test_clients_whose_clocks_are_days_apart_share_a_limit_exactly(redis_url: str) -> None:
    tag = uuid4().hex
    clients = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", _CLIENT, redis_url, tag, str(skew), stdout=subprocess.PIPE
        )
        for skew in (-_DAY_SECONDS, 0, 40 * _DAY_SECONDS)
    ]
    said = [(await client.communicate())[0].decode().splitlines() for client in clients]
    assert [client.returncode for client in clients] == [0, 0, 0]
    lines = Counter(line for each in said for line in each)
    # Each grant took the next request and the next slot: none was regained, and none lapsed.
    assert lines == {
        **{f"granted {taken} {1_000 - taken}": 1 for taken in range(1, _LIMIT + 1)},
        "refused True": 3 * _LIMIT - _LIMIT,
    }
