"""Between rows and the domain's values, where several tables do it alike."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, Table, and_, select

from rostra_user.domain import LimitOverride, Limits, Role, Session, User
from rostra_user.sql.tables import limit_overrides, plans, users

_LIMITS = ("requests_per_minute", "tokens_per_minute", "concurrent_streams", "budget_micros_per_month")


def limit_columns(table: Table, *, prefix: str) -> list[ColumnElement[int]]:
    """Return the table's limits under names with a prefix, for a join of two tables that both have them."""
    return [table.c[name].label(prefix + name) for name in _LIMITS]


# Beside an outer join of `limit_overrides`: what `override_of` reads.
OVERRIDE_COLUMNS: list[ColumnElement[Any]] = [
    limit_overrides.c.end_time.label("override_end_time"),
    *limit_columns(limit_overrides, prefix="override_"),
]

# Every account with the limits of its plan, and what is in their place.
ACCOUNTS = (
    select(users, *limit_columns(plans, prefix="plan_"), *OVERRIDE_COLUMNS)
    .join(plans, plans.c.name == users.c.plan)
    .outerjoin(limit_overrides, limit_overrides.c.user_id == users.c.id)
)


def user_of(row: RowMapping) -> User:
    """Return the user that stands in a row of `ACCOUNTS`."""
    return User(
        id=row["id"],
        email=row["email"],
        name=row["name"],
        role=Role(row["role"]),
        plan=row["plan"],
        plan_limits=limits_of(row, prefix="plan_"),
        create_time=row["create_time"],
        disabled=row["disabled"],
        limit_override=override_of(row),
    )


def override_holds(now: datetime) -> ColumnElement[bool]:
    """Return the condition of an outer join of the override that has not ended."""
    return and_(limit_overrides.c.user_id == users.c.id, limit_overrides.c.end_time > now)


def override_of(row: RowMapping) -> LimitOverride | None:
    """Return what is in place of the plan's limits by the row's `OVERRIDE_COLUMNS`, `None` when nothing is."""
    if row["override_end_time"] is None:
        return None
    return LimitOverride(limits=limits_of(row, prefix="override_"), end_time=row["override_end_time"])


def limits_of(row: RowMapping, *, prefix: str = "") -> Limits:
    """Return the limits that stand in the row's columns with this prefix."""
    return Limits(**{name: row[prefix + name] for name in _LIMITS})


def session_row(session: Session) -> dict[str, object]:
    """Return the row of a session."""
    return asdict(session)
