"""The queue of background responses: what runners and their callers need of the history service."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rostra_chat.responses.store import Item

ENDED = ("completed", "incomplete", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to run a response for a while.

    Attributes:
        response_id: The response.
        attempt: Which of its claims this is, counted from 1: the fencing token.
    """

    response_id: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What it takes to run a response.

    Attributes:
        lease: The right to run it.
        tries: How many runners have claimed the response and not given it back, this one included.
        response: The response object; its status is `in_progress`.
        request_body: The body of `POST /v1/responses`; empty of a response whose client waited, but not its runner:
            nobody can run that again, it is only to be ended.
        caller: A serialized `Caller`, for whom it runs.
    """

    lease: Lease
    tries: int
    response: dict[str, Any]
    request_body: bytes
    caller: bytes


@dataclass(frozen=True, slots=True)
class Renewal:
    """What became of leases.

    Attributes:
        lost: The responses that are another runner's now, have ended or were deleted.
        cancelled: The responses that their owners have cancelled.
    """

    lost: frozenset[str]
    cancelled: frozenset[str]


class JobQueue(Protocol):
    """Keeps background responses and gives each to one runner at a time. Every call may raise `UnavailableError`.

    `enqueue`, `get`, `cancel` and `finish` act for the caller of the request under way; the others need no caller.
    """

    async def enqueue(
        self, response: dict[str, Any], *, input_items: Sequence[Item], request_body: bytes, branch_point: bytes = b""
    ) -> None:
        """Store a queued response with its input and what it takes to run it. A repeat changes nothing.

        In a conversation it will join the branch of the `branch_point` that its context has.
        """
        ...

    async def get(self, response_id: str) -> dict[str, Any]:
        """Return the response object as it is now, or raise `NotFoundError`."""
        ...

    async def cancel(self, response_id: str) -> dict[str, Any]:
        """Cancel a response and return it: cancelled when it was queued, as it is when it runs or has ended.

        Raises:
            InvalidArgumentError: It does not run in the background.
            NotFoundError: There is none.
        """
        ...

    async def claim(self, *, lease_seconds: float) -> Job | None:
        """Return the oldest response that nobody runs; `None` where there is none."""
        ...

    async def renew(self, leases: Sequence[Lease], *, lease_seconds: float) -> Renewal:
        """Renew leases, and learn which are lost and what is cancelled."""
        ...

    async def release(self, lease: Lease) -> None:
        """Put a response back to the front of the queue; the try does not count."""
        ...

    async def finish(self, response: dict[str, Any], lease: Lease) -> None:
        """Store how a response ended, with the output in it.

        Raises:
            LeaseLost: It is another runner's now.
            NotFoundError: It was deleted.
        """
        ...
