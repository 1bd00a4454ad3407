"""Accounts on SQL."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import RowMapping, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from rostra_kit.errors import AlreadyExistsError, ConflictError
from rostra_user.domain import DEFAULT_PLAN, Account, AccountChange, AuditEvent, NewAccount, Role, Session, User
from rostra_user.errors import EmailTakenError, UserNotFoundError
from rostra_user.sql.audit_events import add_events
from rostra_user.sql.database import Database
from rostra_user.sql.rows import ACCOUNTS, session_row, user_of
from rostra_user.sql.tables import erasures, sessions, users


class SqlAccountStore:
    """An `AccountStore` on SQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, account: NewAccount, first_session: Session, *, audit: AuditEvent | None = None) -> User:
        """See `AccountStore.create`."""

        async def work(connection: AsyncConnection) -> User:
            await connection.execute(insert(users).values(_new_row(account)))
            await connection.execute(insert(sessions).values(session_row(first_session)))
            await add_events(connection, audit)
            created = await connection.execute(ACCOUNTS.where(users.c.id == account.user_id))
            return user_of(created.mappings().one())

        try:
            return await self._database.write(work)
        except AlreadyExistsError as error:
            raise EmailTakenError from error

    async def get(self, user_id: str) -> Account:
        """See `AccountStore.get`."""
        row = await self._database.row(ACCOUNTS.where(users.c.id == user_id))
        if row is None:
            raise UserNotFoundError
        return _account(row)

    async def find_by_email(self, email_key: str) -> Account | None:
        """See `AccountStore.find_by_email`."""
        row = await self._database.row(ACCOUNTS.where(users.c.email_key == email_key))
        return None if row is None else _account(row)

    async def update(
        self,
        user_id: str,
        change: AccountChange,
        *,
        password_hash: str,
        keep_session_id: str,
        audit: Sequence[AuditEvent] = (),
    ) -> Sequence[str]:
        """See `AccountStore.update`."""

        async def work(connection: AsyncConnection) -> Sequence[str]:
            unchanged = (users.c.id == user_id, users.c.password_hash == password_hash)
            done = await connection.execute(update(users).where(*unchanged).values(_changed_row(change)))
            if done.rowcount != 1:
                await _raise_why_not(connection, user_id)
            await add_events(connection, *audit)
            if change.password_hash is None:
                return ()
            return await _end_other_sessions(connection, user_id, keep_session_id)

        try:
            return await self._database.write(work)
        except AlreadyExistsError as error:
            raise EmailTakenError from error

    async def rename(self, user_id: str, name: str) -> None:
        """See `AccountStore.rename`."""
        statement = update(users).where(users.c.id == user_id).values(name=name)
        if await self._database.execute(statement) != 1:
            raise UserNotFoundError

    async def replace_hash(self, user_id: str, *, old_hash: str, new_hash: str) -> bool:
        """See `AccountStore.replace_hash`."""
        unchanged = (users.c.id == user_id, users.c.password_hash == old_hash)
        return await self._database.execute(update(users).where(*unchanged).values(password_hash=new_hash)) == 1

    async def delete(self, user_id: str, now: datetime, *, audit: AuditEvent | None = None) -> bool:
        """See `AccountStore.delete`."""

        async def work(connection: AsyncConnection) -> bool:
            # Sessions and API keys go with it: ON DELETE CASCADE.
            done = await connection.execute(delete(users).where(users.c.id == user_id))
            if done.rowcount != 1:
                return False
            await add_events(connection, audit)
            await connection.execute(insert(erasures).values(user_id=user_id, mark_time=now, erase_time=None))
            return True

        return await self._database.write(work)


def _account(row: RowMapping) -> Account:
    return Account(user=user_of(row), password_hash=row["password_hash"])


def _new_row(account: NewAccount) -> dict[str, object]:
    return {
        "id": account.user_id,
        "email": account.email.text,
        "email_key": account.email.key,
        "name": account.name,
        "password_hash": account.password_hash,
        "role": Role.USER.value,
        "plan": DEFAULT_PLAN,
        "create_time": account.create_time,
    }


def _changed_row(change: AccountChange) -> dict[str, str]:
    values = {"name": change.name, "password_hash": change.password_hash}
    if change.email is not None:
        values |= {"email": change.email.text, "email_key": change.email.key}
    return {name: value for name, value in values.items() if value is not None}


async def _raise_why_not(connection: AsyncConnection, user_id: str) -> None:
    if await connection.scalar(select(users.c.id).where(users.c.id == user_id)) is None:
        raise UserNotFoundError
    raise ConflictError("The password was changed meanwhile. Try again.")


async def _end_other_sessions(connection: AsyncConnection, user_id: str, keep_session_id: str) -> Sequence[str]:
    others = (sessions.c.user_id == user_id, sessions.c.id != keep_session_id)
    ids = (await connection.scalars(select(sessions.c.id).where(*others))).all()
    await connection.execute(delete(sessions).where(*others))
    return ids
