"""The audit log on SQL."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import ColumnElement, RowMapping, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from rostra_user.domain import AuditEvent, AuditFilter, AuditKind, AuditOutcome, Page
from rostra_user.sql.database import Database
from rostra_user.sql.pages import page_of
from rostra_user.sql.tables import audit_events

_EXPIRE_BATCH = 1000


async def add_events(connection: AsyncConnection, *events: AuditEvent | None) -> None:
    """Add events within the transaction that they tell of."""
    for event in events:
        if event is not None:
            await connection.execute(insert(audit_events).values(asdict(event)))


class SqlAuditStore:
    """An `AuditStore` on SQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(self, event: AuditEvent) -> None:
        """See `AuditStore.append`."""
        await self._database.write(lambda connection: add_events(connection, event))

    async def list(self, which: AuditFilter, page: Page) -> tuple[Sequence[AuditEvent], bool]:
        """See `AuditStore.list`."""
        listed = select(audit_events).where(*_conditions(which))
        rows, has_more = await page_of(self._database, listed, audit_events.c.id, page)
        return [_event(row) for row in rows], has_more

    async def pseudonymise(self, user_id: str) -> None:
        """See `AuditStore.pseudonymise`."""
        for column in (audit_events.c.user_id, audit_events.c.actor_id):
            forgotten = update(audit_events).where(column == user_id).values(address="", email_digest=None)
            await self._database.execute(forgotten)

    async def expire(self, before: datetime) -> None:
        """See `AuditStore.expire`."""
        old = select(audit_events.c.id).where(audit_events.c.create_time < before).limit(_EXPIRE_BATCH)

        async def work(connection: AsyncConnection) -> int:
            ids = (await connection.scalars(old)).all()
            await connection.execute(delete(audit_events).where(audit_events.c.id.in_(ids)))
            return len(ids)

        # In parts, so that no transaction holds its locks for seconds.
        while await self._database.write(work) == _EXPIRE_BATCH:
            pass


def _conditions(which: AuditFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if which.user_id:
        conditions.append(audit_events.c.user_id == which.user_id)
    if which.event:
        conditions.append(audit_events.c.event == which.event)
    if which.start is not None:
        conditions.append(audit_events.c.create_time >= which.start)
    if which.end is not None:
        conditions.append(audit_events.c.create_time < which.end)
    return conditions


def _event(row: RowMapping) -> AuditEvent:
    return AuditEvent(
        **{**row, "event": AuditKind(row["event"]), "outcome": AuditOutcome(row["outcome"])},
    )
