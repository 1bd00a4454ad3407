"""API keys on SQL."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, RowMapping, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from rostra_user.domain import ApiKey, AuditEvent, Identity, Page, Role
from rostra_user.errors import ApiKeyNotFoundError, TooManyApiKeysError, UserNotFoundError
from rostra_user.sql.audit_events import add_events
from rostra_user.sql.database import Database
from rostra_user.sql.pages import page_of
from rostra_user.sql.rows import OVERRIDE_COLUMNS, limit_columns, limits_of, override_holds, override_of
from rostra_user.sql.tables import api_keys, limit_overrides, plans, users

_EXPIRED_KEYS_STAY = timedelta(days=30)


class SqlApiKeyStore:
    """An `ApiKeyStore` on SQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self, api_key: ApiKey, *, secret_digest: bytes, live_limit: int, audit: AuditEvent | None = None
    ) -> None:
        """See `ApiKeyStore.create`."""
        now, own = api_key.create_time, api_keys.c.user_id == api_key.user_id

        async def work(connection: AsyncConnection) -> None:
            # Changes nothing, but makes simultaneous calls for one user wait for each other: the count below is exact.
            held = await connection.execute(
                update(users).where(users.c.id == api_key.user_id).values(plan=users.c.plan)
            )
            if held.rowcount != 1:
                raise UserNotFoundError
            await connection.execute(delete(api_keys).where(own, api_keys.c.expire_time <= now - _EXPIRED_KEYS_STAY))
            live = select(func.count()).select_from(api_keys).where(own, _is_live(now))
            if (await connection.scalar(live) or 0) >= live_limit:
                raise TooManyApiKeysError(live_limit)
            await connection.execute(insert(api_keys).values(_row(api_key, secret_digest)))
            await add_events(connection, audit)

        await self._database.write(work)

    async def list(self, user_id: str, page: Page) -> tuple[Sequence[ApiKey], bool]:
        """See `ApiKeyStore.list`."""
        own = api_keys.c.user_id == user_id
        rows, has_more = await page_of(self._database, select(api_keys).where(own), api_keys.c.id, page)
        return [_api_key(row) for row in rows], has_more

    async def delete(self, user_id: str, api_key_id: str, *, audit: AuditEvent | None = None) -> None:
        """See `ApiKeyStore.delete`."""
        statement = delete(api_keys).where(api_keys.c.user_id == user_id, api_keys.c.id == api_key_id)

        async def work(connection: AsyncConnection) -> None:
            if (await connection.execute(statement)).rowcount != 1:
                raise ApiKeyNotFoundError(api_key_id)
            await add_events(connection, audit)

        await self._database.write(work)

    async def identify(self, secret_digest: bytes, now: datetime) -> Identity | None:
        """See `ApiKeyStore.identify`."""
        statement = (
            select(
                api_keys.c.id,
                api_keys.c.user_id,
                api_keys.c.expire_time,
                users.c.role,
                *limit_columns(plans, prefix="plan_"),
                *limit_columns(api_keys, prefix="key_"),
                *OVERRIDE_COLUMNS,
            )
            .join(users, users.c.id == api_keys.c.user_id)
            .join(plans, plans.c.name == users.c.plan)
            .outerjoin(limit_overrides, override_holds(now))
            .where(api_keys.c.secret_digest == secret_digest, _is_live(now), users.c.disabled.is_(False))
        )
        row = await self._database.row(statement)
        return None if row is None else _identity(row)


def _is_live(now: datetime) -> ColumnElement[bool]:
    return or_(api_keys.c.expire_time.is_(None), api_keys.c.expire_time > now)


def _row(api_key: ApiKey, secret_digest: bytes) -> dict[str, object]:
    row: dict[str, object] = asdict(api_key)
    del row["limits"]
    return row | asdict(api_key.limits) | {"secret_digest": secret_digest}


def _api_key(row: RowMapping) -> ApiKey:
    return ApiKey(
        id=row["id"],
        user_id=row["user_id"],
        name=row["name"],
        redacted_secret=row["redacted_secret"],
        create_time=row["create_time"],
        expire_time=row["expire_time"],
        limits=limits_of(row),
    )


def _identity(row: RowMapping) -> Identity:
    override = override_of(row)
    return Identity(
        user_id=row["user_id"],
        role=Role(row["role"]),
        user_limits=limits_of(row, prefix="plan_").overridden_by(override),
        limits_end_time=override.end_time if override else None,
        api_key_id=row["id"],
        key_limits=limits_of(row, prefix="key_"),
        expire_time=row["expire_time"],
    )
