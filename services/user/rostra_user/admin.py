"""The operator's command: `python -m rostra_user.admin`, which makes the first administrator."""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, fields
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry

from rostra_kit.errors import AppError
from rostra_kit.logging import configure_logging
from rostra_kit.redis import open_redis
from rostra_user.clock import utc_now
from rostra_user.domain import AccessChange, LimitOverride, Limits, Page, Plan, Role, User
from rostra_user.email_address import parse_email
from rostra_user.metrics import UserMetrics
from rostra_user.revocations import RedisRevocations
from rostra_user.service.admin import AdminService
from rostra_user.service.audit import AuditLog
from rostra_user.settings import AuditSettings, CommandSettings
from rostra_user.sql.audit_events import SqlAuditStore
from rostra_user.sql.database import Database
from rostra_user.sql.directory import SqlUserDirectory
from rostra_user.sql.engine import open_engine
from rostra_user.sql.plans import SqlPlanStore
from rostra_user.sql.schema import check_schema
from rostra_user.sql.usage import SqlUsageStore

_LIMITS = tuple(field.name for field in fields(Limits))
_ACCESS = {
    "grant": AccessChange(role=Role.ADMIN),
    "revoke": AccessChange(role=Role.USER),
    "disable": AccessChange(disabled=True),
    "enable": AccessChange(disabled=False),
}


async def run(arguments: argparse.Namespace, settings: CommandSettings) -> str:
    """Do what the arguments say and return what to tell the operator.

    Raises:
        AppError: It cannot be done.
    """
    async with _service(settings) as service:
        if arguments.command == "plan":
            return await _plan(service, arguments)
        key = parse_email(arguments.email).key
        if arguments.command == "limits":
            return _told_override(await service.change_user_by_email(key, _override_change(arguments)))
        user = await service.change_user_by_email(key, _ACCESS[arguments.command])
        return f"{user.email}: {user.role}, {'disabled' if user.disabled else 'enabled'}"


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Return what the words of the command line say."""
    parser = argparse.ArgumentParser(prog="python -m rostra_user.admin", description="Administers accounts and plans.")
    commands = parser.add_subparsers(dest="command", required=True)
    helps = ("make an administrator", "make an ordinary user", "close an account to its user", "open it again")
    for name, text in zip(_ACCESS, helps, strict=True):
        commands.add_parser(name, help=text).add_argument("email")
    acts = commands.add_parser("plan", help="list, set, delete and assign plans").add_subparsers(
        dest="act", required=True
    )
    acts.add_parser("list", help="show all plans")
    put = acts.add_parser("set", help="create a plan or replace its limits; what is absent is not limited")
    put.add_argument("name")
    _add_limits(put)
    acts.add_parser("delete", help="delete a plan that nobody is on").add_argument("name")
    assign = acts.add_parser("assign", help="put an account on a plan")
    assign.add_argument("email")
    assign.add_argument("name")
    _add_overrides(commands.add_parser("limits", help="put limits in place of a plan's, for one account and a time"))
    return parser.parse_args(words)


def _add_overrides(parser: argparse.ArgumentParser) -> None:
    acts = parser.add_subparsers(dest="act", required=True)
    put = acts.add_parser("set", help="replace what is in place; an absent limit is the plan's")
    put.add_argument("email")
    put.add_argument("--until", type=_moment, required=True, help="ISO 8601, such as 2026-12-01T08:00Z; UTC by default")
    _add_limits(put)
    acts.add_parser("end", help="let the plan's limits apply again").add_argument("email")


def _add_limits(parser: argparse.ArgumentParser) -> None:
    for limit in _LIMITS:
        parser.add_argument(f"--{limit.replace('_', '-')}", type=int)


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _override_change(arguments: argparse.Namespace) -> AccessChange:
    if arguments.act == "end":
        return AccessChange(ends_override=True)
    return AccessChange(limit_override=LimitOverride(limits=_limits(arguments), end_time=arguments.until))


def _limits(arguments: argparse.Namespace) -> Limits:
    return Limits(**{name: getattr(arguments, name) for name in _LIMITS})


def _told_override(user: User) -> str:
    override = user.limit_override
    if override is None:
        return f"{user.email}: the limits of {user.plan}"
    return f"{user.email}: {_spoken(override.limits)}, until {override.end_time.isoformat()}"


async def _plan(service: AdminService, arguments: argparse.Namespace) -> str:
    if arguments.act == "list":
        return "\n".join(_line(plan) for plan in await _all_plans(service))
    if arguments.act == "set":
        plan = Plan(name=arguments.name, limits=_limits(arguments))
        await service.put_plan(plan)
        return _line(plan)
    if arguments.act == "delete":
        await service.delete_plan(arguments.name)
        return f"{arguments.name}: deleted"
    user = await service.change_user_by_email(parse_email(arguments.email).key, AccessChange(plan=arguments.name))
    return f"{user.email}: {user.plan}"


async def _all_plans(service: AdminService) -> list[Plan]:
    plans: list[Plan] = []
    has_more = True
    while has_more:
        after = plans[-1].name if plans else ""
        page, has_more = await service.list_plans(Page(size=100, after=after, ascending=True))
        plans += page
    return plans


def _line(plan: Plan) -> str:
    return f"{plan.name}: {_spoken(plan.limits)}"


def _spoken(limits: Limits) -> str:
    return ", ".join(f"{name}={'-' if value is None else value}" for name, value in asdict(limits).items())


@asynccontextmanager
async def _service(settings: CommandSettings) -> AsyncIterator[AdminService]:
    async with open_engine(settings.database) as engine, open_redis(settings.redis) as redis:
        await check_schema(engine)
        database = Database(engine)
        yield AdminService(
            directory=SqlUserDirectory(database),
            plans=SqlPlanStore(database),
            usage=SqlUsageStore(database),
            audit=AuditLog(SqlAuditStore(database), keep_days=AuditSettings().keep_days, clock=utc_now),
            revocations=RedisRevocations(redis.commands, UserMetrics(CollectorRegistry())),
            clock=utc_now,
        )


if __name__ == "__main__":
    told = parse(sys.argv[1:])
    settings = CommandSettings()
    configure_logging("user-admin", level="warning")
    try:
        sys.stdout.write(asyncio.run(run(told, settings)) + "\n")
    except AppError as error:
        sys.exit(error.message)
