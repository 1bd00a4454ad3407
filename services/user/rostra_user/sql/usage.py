"""The usage ledger on SQL."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, datetime

from sqlalchemy import Column, ColumnElement, RowMapping, delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from rostra_kit.errors import AlreadyExistsError
from rostra_user.domain import UsageBucket, UsageEvent
from rostra_user.sql.database import Database
from rostra_user.sql.replica import StaleReader
from rostra_user.sql.tables import usage_events, users

_ATTEMPTS = 5
_ERASE_BATCH = 1000
_RECORDED = tuple(field.name for field in fields(UsageEvent))
_SUMMED = ("input_tokens", "cached_input_tokens", "output_tokens", "cost_micros")


class SqlUsageStore:
    """A `UsageStore` on SQL.

    Args:
        database: Where the ledger is.
        shown_from: Where sums that are only shown are read, by default there, too.
    """

    def __init__(self, database: Database, shown_from: StaleReader | None = None) -> None:
        self._database = database
        self._shown_from = shown_from or database

    async def record(self, events: Sequence[UsageEvent]) -> int:
        """See `UsageStore.record`."""
        by_id = {event.id: event for event in events}

        async def work(connection: AsyncConnection) -> int:
            known = await _present(connection, usage_events.c.id, set(by_id))
            payers = await _present(connection, users.c.id, {event.user_id for event in events})
            new = [event for event in by_id.values() if event.id not in known and event.user_id in payers]
            if new:
                await connection.execute(insert(usage_events), [_row(event) for event in new])
            return len(new)

        for _ in range(_ATTEMPTS - 1):
            try:
                return await self._database.write(work)
            except AlreadyExistsError:
                # Another replica wrote one of them between the look and the insert; the next look will see it.
                continue
        return await self._database.write(work)

    async def sum_by_day(self, user_id: str | None, *, start: datetime, end: datetime) -> Sequence[UsageBucket]:
        """See `UsageStore.sum_by_day`."""
        day, model = usage_events.c.day, usage_events.c.model
        sums = [func.sum(usage_events.c[name]).label(name) for name in _SUMMED]
        statement = (
            select(day, model, func.count().label("requests"), *sums)
            .where(*_within(user_id, start, end))
            .group_by(day, model)
            .order_by(day, model)
        )
        return [_bucket(row) for row in await self._shown_from.rows(statement)]

    async def sum_cost(self, user_id: str, *, start: datetime, end: datetime, api_key_id: str = "") -> int:
        """See `UsageStore.sum_cost`."""
        total = func.sum(usage_events.c.cost_micros).label("total")
        statement = select(total).where(*_within(user_id, start, end))
        if api_key_id:
            statement = statement.where(usage_events.c.api_key_id == api_key_id)
        row = await self._database.row(statement)
        return 0 if row is None else int(row["total"] or 0)

    async def erase(self, user_id: str) -> None:
        """See `UsageStore.erase`."""
        own = select(usage_events.c.id).where(usage_events.c.user_id == user_id).limit(_ERASE_BATCH)

        async def work(connection: AsyncConnection) -> int:
            ids = (await connection.scalars(own)).all()
            await connection.execute(delete(usage_events).where(usage_events.c.id.in_(ids)))
            return len(ids)

        # In parts: one transaction over a year of events would hold its locks for seconds.
        while await self._database.write(work) == _ERASE_BATCH:
            pass


async def _present(connection: AsyncConnection, column: Column[str], values: set[str]) -> set[str]:
    """Return those of `values` that the column holds."""
    return set((await connection.scalars(select(column).where(column.in_(values)))).all())


def _row(event: UsageEvent) -> dict[str, object]:
    row = {name: getattr(event, name) for name in _RECORDED}  # `asdict` would copy every value
    return row | {"outcome": event.outcome.value, "day": event.end_time.astimezone(UTC).date()}


def _within(user_id: str | None, start: datetime, end: datetime) -> tuple[ColumnElement[bool], ...]:
    events = usage_events.c
    whose = () if user_id is None else (events.user_id == user_id,)
    return *whose, events.end_time >= start, events.end_time < end


def _bucket(row: RowMapping) -> UsageBucket:
    # MySQL's sums of integers are decimals.
    sums = {name: int(row[name]) for name in _SUMMED}
    return UsageBucket(day=row["day"], model=row["model"], requests=row["requests"], **sums)
