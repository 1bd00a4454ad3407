"""Sessions on SQL."""

from datetime import datetime

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from rostra_user.domain import AuditEvent, Identity, Role, Session
from rostra_user.errors import InvalidCredentialsError
from rostra_user.sql.audit_events import add_events
from rostra_user.sql.database import Database
from rostra_user.sql.rows import OVERRIDE_COLUMNS, limits_of, override_holds, override_of, session_row
from rostra_user.sql.tables import limit_overrides, plans, sessions, users


class SqlSessionStore:
    """A `SessionStore` on SQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, session: Session, *, password_hash: str, audit: AuditEvent | None = None) -> None:
        """See `SessionStore.create`."""

        async def work(connection: AsyncConnection) -> None:
            # Changes nothing, but makes a change of the password wait until the session is there to be ended by it.
            unchanged = (
                users.c.id == session.user_id,
                users.c.password_hash == password_hash,
                users.c.disabled.is_(False),
            )
            held = await connection.execute(update(users).where(*unchanged).values(plan=users.c.plan))
            if held.rowcount != 1:
                raise InvalidCredentialsError
            expired = (sessions.c.user_id == session.user_id, sessions.c.expire_time <= session.create_time)
            await connection.execute(delete(sessions).where(*expired))
            await connection.execute(insert(sessions).values(session_row(session)))
            await add_events(connection, audit)

        await self._database.write(work)

    async def get(self, session_id: str) -> Session | None:
        """See `SessionStore.get`."""
        row = await self._database.row(select(sessions).where(sessions.c.id == session_id))
        return None if row is None else Session(**row)

    async def rotate(self, session_id: str, *, old_digest: bytes, new_digest: bytes, expire_time: datetime) -> bool:
        """See `SessionStore.rotate`."""
        unused = (sessions.c.id == session_id, sessions.c.token_digest == old_digest)
        values = {"token_digest": new_digest, "expire_time": expire_time}
        return await self._database.execute(update(sessions).where(*unused).values(values)) == 1

    async def delete(self, session_id: str, *, audit: AuditEvent | None = None) -> bool:
        """See `SessionStore.delete`."""

        async def work(connection: AsyncConnection) -> bool:
            done = await connection.execute(delete(sessions).where(sessions.c.id == session_id))
            if done.rowcount == 1:
                await add_events(connection, audit)
            return done.rowcount == 1

        return await self._database.write(work)

    async def identify(self, session_id: str, now: datetime) -> Identity | None:
        """See `SessionStore.identify`."""
        statement = (
            select(users.c.id.label("user_id"), users.c.role, *plans.c, *OVERRIDE_COLUMNS)
            .join(users, users.c.id == sessions.c.user_id)
            .join(plans, plans.c.name == users.c.plan)
            .outerjoin(limit_overrides, override_holds(now))
            .where(sessions.c.id == session_id, sessions.c.expire_time > now, users.c.disabled.is_(False))
        )
        row = await self._database.row(statement)
        if row is None:
            return None
        override = override_of(row)
        return Identity(
            user_id=row["user_id"],
            role=Role(row["role"]),
            user_limits=limits_of(row).overridden_by(override),
            limits_end_time=override.end_time if override else None,
            session_id=session_id,
        )
