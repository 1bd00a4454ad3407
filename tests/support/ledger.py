"""What the user service's database has: limits to be set as an operator would, and what was billed."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import NullPool, Row, create_engine, make_url, text

_UNLIMITED = 100_000_000
_LIMITS = ("requests_per_minute", "tokens_per_minute", "concurrent_streams")
_DRIVERS = {"sqlite": "sqlite", "mysql": "mysql+pymysql", "mariadb": "mysql+pymysql"}


class Ledger:
    """The database: a stack's own, or the one of that URL.

    Args:
        data: The stack's folder.
        url: Where the database is, if not there.
    """

    def __init__(self, data: Path, *, url: str | None = None) -> None:
        parsed = make_url(url or f"sqlite:///{data / 'user.sqlite3'}")
        self._engine = create_engine(
            parsed.set(drivername=_DRIVERS[parsed.get_backend_name()], query={}), poolclass=NullPool
        )

    def lift_limits(self) -> None:
        """Lift the default plan's limits: they are still reserved and settled, but never reached."""
        self._set_limits(dict.fromkeys(_LIMITS, _UNLIMITED))

    def set_budget(self, micros: int) -> None:
        """Give the default plan a monthly budget, in millionths of a unit of money."""
        self._set_limits({"budget_micros_per_month": micros})

    def billed(self) -> Counter[tuple[str, str]]:
        """Return how often each model and outcome is billed."""
        rows = self._run("SELECT model, outcome, COUNT(*) AS n FROM usage_events GROUP BY model, outcome")
        return Counter({(row.model, row.outcome): row.n for row in rows})

    def spent_micros(self, user_id: str) -> int:
        """Return what somebody has spent in all, in millionths of a unit of money."""
        [row] = self._run("SELECT SUM(cost_micros) AS n FROM usage_events WHERE user_id = :id", {"id": user_id})
        return int(row.n or 0)

    def _set_limits(self, limits: Mapping[str, int]) -> None:
        assignments = ", ".join(f"{name} = :{name}" for name in limits)
        with self._engine.begin() as connection:
            connection.execute(text(f"UPDATE plans SET {assignments}"), limits)

    def _run(self, query: str, values: Mapping[str, Any] | None = None) -> list[Row[Any]]:
        with self._engine.connect() as connection:
            return list(connection.execute(text(query), values or {}).all())
