"""Administration: accounts and plans over all users, by administrators, each of whose calls is recorded."""

import re
from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime, timedelta

from rostra.common.v1.caller_pb2 import Caller
from rostra_kit.errors import ConflictError, InvalidArgumentError
from rostra_kit.revocation import Revocation
from rostra_kit.tasks import uninterrupted
from rostra_user.clock import Clock
from rostra_user.domain import (
    DEFAULT_PLAN,
    AccessChange,
    AuditEvent,
    AuditFilter,
    AuditKind,
    AuditOutcome,
    LimitOverride,
    Limits,
    Page,
    Plan,
    Role,
    UsageBucket,
    User,
)
from rostra_user.email_address import comparable
from rostra_user.errors import NotAdministratorError, PlanInUseError, PlanNotFoundError, UserNotFoundError
from rostra_user.revocations import Revocations
from rostra_user.service.audit import AuditLog
from rostra_user.store import PlanStore, UsageStore, UserDirectory

_PLAN_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LONGEST_USAGE = timedelta(days=366)
_LARGEST_LIMIT = 2**53


class AdminService:
    """Lets administrators see and change what belongs to others; `authorize` says whether somebody is one."""

    def __init__(
        self,
        *,
        directory: UserDirectory,
        plans: PlanStore,
        usage: UsageStore,
        audit: AuditLog,
        revocations: Revocations,
        clock: Clock,
    ) -> None:
        self._directory = directory
        self._plans = plans
        self._usage = usage
        self._audit = audit
        self._revocations = revocations
        self._clock = clock

    async def authorize(self, caller: Caller, call: str, *, user_id: str = "", is_read: bool = True) -> None:
        """Return if the caller is an administrator now, and record that they read, or that they may not.

        Args:
            caller: Who calls.
            call: The name of the RPC.
            user_id: Whose account it is about.
            is_read: Whether the call changes nothing; a change records itself.

        Raises:
            NotAdministratorError: They are none.
        """
        is_admin = await self._is_admin(caller.user_id)
        if is_read or not is_admin:
            outcome = AuditOutcome.OK if is_admin else AuditOutcome.REFUSED
            await self._audit.append(
                self._audit.event(AuditKind.ADMIN_ACCESS, user_id=user_id, outcome=outcome, target=call)
            )
        if not is_admin:
            raise NotAdministratorError

    async def list_users(self, page: Page, *, email_prefix: str) -> tuple[Sequence[User], bool]:
        """Return a page of the accounts whose addresses begin so, and whether another follows."""
        return await self._directory.list(page, key_prefix=comparable(email_prefix.strip()))

    async def get_user(self, user_id: str) -> User:
        """Return the account, or raise `UserNotFoundError`."""
        return await self._directory.get(user_id)

    async def change_user(self, user_id: str, change: AccessChange, *, actor_id: str) -> User:
        """Change what the account may do; every gateway hears of it.

        Raises:
            UserNotFoundError: There is no such account.
            InvalidArgumentError: There is no such plan, or the override says nothing, or ends in the past.
            ConflictError: Administrators neither demote nor disable themselves: somebody shall be left.
        """
        self._check_override(change.limit_override)
        if actor_id == user_id and (change.role is not None or change.disabled is not None):
            raise ConflictError("Another administrator has to change your own role or access.")
        try:
            return await uninterrupted(self._change_user(user_id, change, actor_id))
        except PlanNotFoundError as error:
            raise InvalidArgumentError(error.message, param="plan") from error

    async def change_user_by_email(self, email_key: str, change: AccessChange) -> User:
        """Change what the account with this address may do, as the operator of the machine.

        Raises:
            UserNotFoundError: There is no such account.
            PlanNotFoundError: There is no such plan.
            InvalidArgumentError: The override says nothing, or ends in the past.
        """
        self._check_override(change.limit_override)
        user = await self._directory.find(email_key)
        if user is None:
            raise UserNotFoundError
        return await uninterrupted(self._change_user(user.id, change, ""))

    async def list_plans(self, page: Page) -> tuple[Sequence[Plan], bool]:
        """Return a page of plans and whether another follows, or raise `UnknownCursorError`."""
        return await self._plans.list(page)

    async def put_plan(self, plan: Plan) -> None:
        """Create the plan or replace its limits; every gateway hears of it.

        Raises:
            InvalidArgumentError: This is no name, or a limit is not positive.
        """
        if not _PLAN_NAME.fullmatch(plan.name):
            raise InvalidArgumentError("A plan's name is 1 to 64 letters, digits, '_' and '-'.", param="plan")
        _check_limits(plan.limits)
        await uninterrupted(self._put_plan(plan))

    async def delete_plan(self, name: str) -> None:
        """Delete the plan.

        Raises:
            PlanNotFoundError: There is none.
            PlanInUseError: Somebody is on it, or it is the plan of new accounts.
        """
        if name == DEFAULT_PLAN:
            raise PlanInUseError
        await self._plans.delete(name, audit=self._audit.event(AuditKind.PLAN_DELETED, target=name))

    async def list_audit_events(self, which: AuditFilter, page: Page) -> tuple[Sequence[AuditEvent], bool]:
        """Return a page of audit events and whether another follows, or raise `UnknownCursorError`."""
        return await self._audit.list(which, page)

    async def list_usage(self, *, user_id: str, start: datetime, end: datetime | None) -> Sequence[UsageBucket]:
        """Return the use by day and model, of everybody unless `user_id` says whose.

        Raises:
            InvalidArgumentError: The start is after the end, or too long before it.
        """
        end = end or self._clock()
        if start > end:
            raise InvalidArgumentError("The start is after the end.", param="start_time")
        if end - start > _LONGEST_USAGE:
            raise InvalidArgumentError("At most 366 days can be summed at once.", param="start_time")
        return await self._usage.sum_by_day(user_id or None, start=start, end=end)

    def _check_override(self, override: LimitOverride | None) -> None:
        if override is None:
            return
        if override.limits == Limits():
            raise InvalidArgumentError("An override names at least one limit.", param="limit_override.limits")
        _check_limits(override.limits, param="limit_override.limits")
        if override.end_time <= self._clock():
            raise InvalidArgumentError("An override ends in the future.", param="limit_override.ends_at")

    async def _is_admin(self, user_id: str) -> bool:
        try:
            user = await self._directory.get(user_id)
        except UserNotFoundError:
            return False
        return user.role is Role.ADMIN and not user.disabled

    async def _change_user(self, user_id: str, change: AccessChange, actor_id: str) -> User:
        def describe(before: User, after: User) -> AuditEvent:
            return self._audit.event(
                AuditKind.ACCOUNT_CHANGED, user_id=user_id, actor_id=actor_id, detail=_differences(before, after)
            )

        before, after = await self._directory.change(user_id, change, describe=describe)
        if after != before:
            await self._revocations.publish(Revocation("user", user_id))
        return after

    async def _put_plan(self, plan: Plan) -> None:
        def describe(before: Plan | None) -> AuditEvent:
            was = "none" if before is None else _spoken(before.limits)
            detail = f"limits: {was} -> {_spoken(plan.limits)}"
            return self._audit.event(AuditKind.PLAN_CHANGED, target=plan.name, detail=detail)

        if await self._plans.put(plan, describe=describe):
            await self._revocations.publish(Revocation("plan", plan.name))


def _check_limits(limits: Limits, *, param: str = "limits") -> None:
    for field in fields(limits):
        limit = getattr(limits, field.name)
        if limit is not None and not 1 <= limit <= _LARGEST_LIMIT:
            raise InvalidArgumentError("A limit is at least 1, and no more than 2^53.", param=f"{param}.{field.name}")


def _differences(before: User, after: User) -> str:
    told = {"role": (before.role, after.role), "plan": (before.plan, after.plan)}
    told |= {"disabled": (str(before.disabled).lower(), str(after.disabled).lower())}
    told |= {"limit_override": (_override(before.limit_override), _override(after.limit_override))}
    return ", ".join(f"{name}: {old} -> {new}" for name, (old, new) in told.items() if old != new)


def _override(override: LimitOverride | None) -> str:
    return "none" if override is None else f"{_spoken(override.limits)} until {override.end_time.isoformat()}"


def _spoken(limits: Limits) -> str:
    given = {field.name: getattr(limits, field.name) for field in fields(limits)}
    return "{" + ", ".join(f"{name}={value}" for name, value in given.items() if value is not None) + "}"
