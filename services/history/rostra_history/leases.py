"""How responses that have not ended are given to runners: what it takes to run one, and the right to do so for a while.

Until it ends, a response is in a queue that knows no owners. One that runs in the background is *claimed* from there
by a runner, for as long as a lease lasts; when the lease ends before the response does, the next runner claims it. One
that runs for a waiting client is leased from its beginning by who runs it, as attempt 0; when that lease ends it is
claimed as well, but only to be ended.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from rostra_history.domain import Response


@dataclass(frozen=True, slots=True)
class Job:
    """What it takes to run a background response, by any runner.

    Attributes:
        request_body: The body of the client's request.
        caller: For whom it runs, as the runner's calls will tell it.
    """

    request_body: bytes
    caller: bytes


@dataclass(frozen=True, slots=True)
class Lease:
    """The right of one runner to run a response for a while: the response's `attempt` is this one."""

    response_id: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a runner gets: a response that is its own for a while.

    Attributes:
        response: The response, in progress, with the runner's `attempt`.
        job: What it takes to run it; `None` when it ran for a waiting client, and is only to be ended.
        tries: How many runners have claimed it and not given it back, this one included.
    """

    response: Response
    job: Job | None
    tries: int

    @property
    def lease(self) -> Lease:
        """Return the runner's lease."""
        return Lease(self.response.id, self.response.attempt)


@dataclass(frozen=True, slots=True)
class Renewal:
    """What became of a runner's leases.

    Attributes:
        lost_ids: The responses that are another runner's now, have ended or were deleted, in the order asked.
        cancelled_ids: The responses that their owner wants to be ended, in the order asked.
    """

    lost_ids: list[str]
    cancelled_ids: list[str]

    @classmethod
    def of(cls, leases: Sequence[Lease], *, cancelled_by_id: Mapping[str, bool]) -> Self:
        """Make the outcome for `leases`, given which responses they still hold, and whether each is to be ended."""
        ids = list(dict.fromkeys(lease.response_id for lease in leases))
        lost_ids = [response_id for response_id in ids if response_id not in cancelled_by_id]
        return cls(lost_ids, [response_id for response_id in ids if cancelled_by_id.get(response_id)])
