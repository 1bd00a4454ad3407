"""Plans on SQL."""

from collections.abc import Callable, Sequence
from dataclasses import asdict

from sqlalchemy import RowMapping, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from rostra_kit.errors import AlreadyExistsError
from rostra_user.domain import AuditEvent, Page, Plan
from rostra_user.errors import PlanInUseError, PlanNotFoundError
from rostra_user.sql.audit_events import add_events
from rostra_user.sql.database import Database, MissingParentError
from rostra_user.sql.pages import page_of
from rostra_user.sql.rows import limits_of
from rostra_user.sql.tables import plans, users


class SqlPlanStore:
    """A `PlanStore` on SQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self, page: Page) -> tuple[Sequence[Plan], bool]:
        """See `PlanStore.list`."""
        rows, has_more = await page_of(self._database, select(plans), plans.c.name, page)
        return [_plan(row) for row in rows], has_more

    async def put(self, plan: Plan, *, describe: Callable[[Plan | None], AuditEvent]) -> bool:
        """See `PlanStore.put`."""
        own = plans.c.name == plan.name

        async def work(connection: AsyncConnection) -> bool:
            row = (await connection.execute(select(plans).where(own).with_for_update())).mappings().one_or_none()
            before = None if row is None else _plan(row)
            if before == plan:
                return False
            limits = asdict(plan.limits)
            if before is None:
                await connection.execute(insert(plans).values(name=plan.name, **limits))
            else:
                await connection.execute(update(plans).where(own).values(limits))
            await add_events(connection, describe(before))
            return True

        try:
            return await self._database.write(work)
        except AlreadyExistsError:
            # Somebody created it between the look and the insert; now it is there to be replaced.
            return await self._database.write(work)

    async def delete(self, name: str, *, audit: AuditEvent) -> None:
        """See `PlanStore.delete`."""

        async def work(connection: AsyncConnection) -> None:
            if await connection.scalar(select(users.c.id).where(users.c.plan == name).limit(1)) is not None:
                raise PlanInUseError
            if (await connection.execute(delete(plans).where(plans.c.name == name))).rowcount != 1:
                raise PlanNotFoundError(name)
            await add_events(connection, audit)

        try:
            await self._database.write(work)
        except MissingParentError as error:
            raise PlanInUseError from error


def _plan(row: RowMapping) -> Plan:
    return Plan(name=row["name"], limits=limits_of(row))
