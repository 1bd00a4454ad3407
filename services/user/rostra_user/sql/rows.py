"""Between rows and the domain's values, where several tables do it alike."""

from dataclasses import asdict

from sqlalchemy import ColumnElement, RowMapping, Table, select

from rostra_user.domain import Limits, Role, Session, User
from rostra_user.sql.tables import plans, users

_LIMITS = ("requests_per_minute", "tokens_per_minute", "concurrent_streams", "budget_micros_per_month")

# Every account with the limits of its plan.
ACCOUNTS = select(users, *(column for column in plans.c if column is not plans.c.name)).join(
    plans, plans.c.name == users.c.plan
)


def user_of(row: RowMapping) -> User:
    """Return the user that stands in a row of `ACCOUNTS`."""
    return User(
        id=row["id"],
        email=row["email"],
        name=row["name"],
        role=Role(row["role"]),
        plan=row["plan"],
        limits=limits_of(row),
        create_time=row["create_time"],
        disabled=row["disabled"],
    )


def limits_of(row: RowMapping, *, prefix: str = "") -> Limits:
    """Return the limits that stand in the row's columns with this prefix."""
    return Limits(**{name: row[prefix + name] for name in _LIMITS})


def limit_columns(table: Table, *, prefix: str) -> list[ColumnElement[int]]:
    """Return the table's limits under names with a prefix, for a join of two tables that both have them."""
    return [table.c[name].label(prefix + name) for name in _LIMITS]


def session_row(session: Session) -> dict[str, object]:
    """Return the row of a session."""
    return asdict(session)
