"""All accounts, as administrators see them, on SQL."""

from collections.abc import Callable, Sequence
from dataclasses import asdict

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from rostra_user.domain import AccessChange, AuditEvent, Page, User
from rostra_user.errors import PlanNotFoundError, UserNotFoundError
from rostra_user.sql.audit_events import add_events
from rostra_user.sql.database import Database
from rostra_user.sql.pages import page_of
from rostra_user.sql.rows import ACCOUNTS, user_of
from rostra_user.sql.tables import limit_overrides, plans, sessions, users

# Greater than every character that an address can have.
_LAST_CHARACTER = "\U0010ffff"


class SqlUserDirectory:
    """A `UserDirectory` on SQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, user_id: str) -> User:
        """See `UserDirectory.get`."""
        row = await self._database.row(ACCOUNTS.where(users.c.id == user_id))
        if row is None:
            raise UserNotFoundError
        return user_of(row)

    async def find(self, email_key: str) -> User | None:
        """See `UserDirectory.find`."""
        row = await self._database.row(ACCOUNTS.where(users.c.email_key == email_key))
        return None if row is None else user_of(row)

    async def list(self, page: Page, *, key_prefix: str = "") -> tuple[Sequence[User], bool]:
        """See `UserDirectory.list`."""
        listed = ACCOUNTS
        if key_prefix:
            # A range, because SQLite looks for no LIKE in an index.
            key = users.c.email_key
            listed = listed.where(key >= key_prefix, key < key_prefix + _LAST_CHARACTER)
        rows, has_more = await page_of(self._database, listed, users.c.id, page)
        return [user_of(row) for row in rows], has_more

    async def change(
        self, user_id: str, change: AccessChange, *, describe: Callable[[User, User], AuditEvent]
    ) -> tuple[User, User]:
        """See `UserDirectory.change`."""

        async def work(connection: AsyncConnection) -> tuple[User, User]:
            # Changes nothing, but makes simultaneous changes, and log-ins, wait for this one.
            own = users.c.id == user_id
            if (await connection.execute(update(users).where(own).values(plan=users.c.plan))).rowcount != 1:
                raise UserNotFoundError
            before = await _read(connection, user_id)
            if values := await _values(connection, change):
                await connection.execute(update(users).where(own).values(values))
            await _override(connection, user_id, change)
            if change.disabled:
                await connection.execute(delete(sessions).where(sessions.c.user_id == user_id))
            after = await _read(connection, user_id)
            if after != before:
                await add_events(connection, describe(before, after))
            return before, after

        return await self._database.write(work)


async def _read(connection: AsyncConnection, user_id: str) -> User:
    return user_of((await connection.execute(ACCOUNTS.where(users.c.id == user_id))).mappings().one())


async def _override(connection: AsyncConnection, user_id: str, change: AccessChange) -> None:
    override = change.limit_override
    if override is not None or change.ends_override:
        await connection.execute(delete(limit_overrides).where(limit_overrides.c.user_id == user_id))
    if override is not None:
        values = {"user_id": user_id, "end_time": override.end_time, **asdict(override.limits)}
        await connection.execute(insert(limit_overrides).values(values))


async def _values(connection: AsyncConnection, change: AccessChange) -> dict[str, object]:
    """Return the columns that change; the plan is held until the transaction ends, so that nobody deletes it."""
    values: dict[str, object] = {}
    if change.plan is not None:
        plan = select(plans.c.name).where(plans.c.name == change.plan).with_for_update(read=True)
        if await connection.scalar(plan) is None:
            raise PlanNotFoundError(change.plan)
        values["plan"] = change.plan
    if change.role is not None:
        values["role"] = change.role.value
    if change.disabled is not None:
        values["disabled"] = change.disabled
    return values
