"""The keys in Redis: who runs a request for one, and the answer that it had.

A record is a hash, `idem:{<scope>}:<sha256 of the key>`: the fingerprint of the request, the `owner` while it runs, and
afterwards the `answer`. A record of a gateway that died expires by itself.
"""

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from importlib import resources
from typing import Any, Self

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError

from rostra_gateway.settings import IdempotencySettings
from rostra_kit.errors import UnavailableError


class Standing(Enum):
    """How a key stands for a request that has no answer of it."""

    CLAIMED = "claimed"
    RUNNING = "running"
    REUSED = "reused"
    SPENT = "spent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer that is kept.

    Attributes:
        status: Its HTTP status.
        headers: Those that the route gave it.
        body: Its bytes.
        response_id: In place of all these, the background response whose events it is.
        digest: Of the whole body that it answers, where the fingerprint tells of its beginning alone.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    response_id: str = ""
    digest: str = ""

    def to_bytes(self) -> bytes:
        """Return the answer as it is kept."""
        return orjson.dumps([self.status, dict(self.headers), self.response_id, self.digest]) + b"\n" + self.body

    @classmethod
    def from_bytes(cls, kept: bytes) -> Self:
        """Return an answer that was kept."""
        head, _, body = kept.partition(b"\n")
        status, headers, response_id, *digest = orjson.loads(head)  # older releases keep no digest
        return cls(status=status, headers=headers, body=body, response_id=response_id, digest="".join(digest))


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedRequest:
    """A request with a key.

    Attributes:
        record: The name of its record.
        fingerprint: What it asks for, as a digest.
        owner: The one among the requests with this key.
    """

    record: str
    fingerprint: bytes
    owner: str


class IdempotencyStore:
    """Keeps the records; all gateways share them.

    Every method raises `UnavailableError` while Redis is away.
    """

    def __init__(self, redis: Redis, settings: IdempotencySettings) -> None:
        self._lease_ms = round(settings.lease_seconds * 1000)
        self._keep_ms = round(settings.keep_seconds * 1000)
        self._claim = redis.register_script(_script("claim"))
        self._settle = redis.register_script(_script("settle"))

    async def claim(self, request: KeyedRequest) -> Standing | Answer:
        """Claim the key for `request`, or hold it for another while, unless it has an answer or another request has it.

        `SPENT` stands for a request that succeeded and whose answer is not kept.
        """
        word, *answer = await _reached(
            self._claim(keys=[request.record], args=(request.fingerprint, request.owner, self._lease_ms))
        )
        if not answer:
            return Standing(word.decode())
        return Answer.from_bytes(answer[0]) if answer[0] else Standing.SPENT

    async def keep(self, request: KeyedRequest, answer: Answer | None) -> None:
        """Keep the answer, or with `None` that there was one, unless another request has the key by now."""
        kept = answer.to_bytes() if answer else b""
        await _reached(
            self._settle(keys=[request.record], args=(request.owner, request.fingerprint, self._keep_ms, kept))
        )

    async def release(self, request: KeyedRequest) -> None:
        """Free the key, unless another request has it by now."""
        await _reached(self._settle(keys=[request.record], args=[request.owner]))


async def _reached(call: Awaitable[Any]) -> Any:
    try:
        return await call
    except (RedisError, OSError) as error:
        raise UnavailableError(
            "Whether this `Idempotency-Key` was used before cannot be told right now.", retry_after_seconds=1
        ) from error


def _script(name: str) -> str:
    return resources.files(__package__).joinpath(f"{name}.lua").read_text("utf-8")
