"""What users have used and spent."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from rostra_kit.errors import InvalidArgumentError
from rostra_user.clock import Clock
from rostra_user.domain import UsageBucket
from rostra_user.store import UsageStore

_MONTH = re.compile(r"2[0-9]{3}-(0[1-9]|1[0-2])")


class UsageService:
    """Reads the usage ledger."""

    def __init__(self, *, usage: UsageStore, clock: Clock) -> None:
        self._usage = usage
        self._clock = clock

    async def list(self, user_id: str, *, start: datetime, end: datetime | None) -> tuple[Sequence[UsageBucket], int]:
        """Return the use by day and model from `start` up to `end` (now), and what this month has cost in micros.

        Raises:
            InvalidArgumentError: The start is after the end.
        """
        now = self._clock()
        end = end or now
        if start > end:
            raise InvalidArgumentError("The start is after the end.", param="start_time")
        buckets = await self._usage.sum_by_day(user_id, start=start, end=end)
        return buckets, await self._spend_in(user_id, now)

    async def spend(self, user_id: str, month: str, *, api_key_id: str = "") -> int:
        """Return the money, in micros, that the user spent in `month`, `YYYY-MM`, or that one key of theirs did.

        Raises:
            InvalidArgumentError: This is no month.
        """
        if not _MONTH.fullmatch(month):
            raise InvalidArgumentError("A month is written YYYY-MM.", param="month")
        return await self._spend_in(user_id, datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC), api_key_id)

    async def _spend_in(self, user_id: str, moment: datetime, api_key_id: str = "") -> int:
        first = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        # Any month's first day and 31 days more lie in the next one.
        following = (first + timedelta(days=31)).replace(day=1)
        return await self._usage.sum_cost(user_id, start=first, end=following, api_key_id=api_key_id)
