"""Reads that may be a little out of date: from a replica where there is one, else from the primary."""

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from prometheus_client import Counter
from sqlalchemy import RowMapping, Select

from rostra_kit.errors import AppError
from rostra_user.settings import DatabaseSettings
from rostra_user.sql.database import Database

# One read in this time finds out whether a replica that failed is back; the others do not wait for it.
_REST_SECONDS = 10.0
_CONNECT_SECONDS = 1.0


def replica_settings(settings: DatabaseSettings) -> DatabaseSettings | None:
    """Return the settings of the replica, `None` when there is none; it is given up sooner than the primary."""
    if settings.replica_url is None:
        return None
    connect_seconds = min(_CONNECT_SECONDS, settings.connect_timeout_seconds)
    return settings.model_copy(
        update={"url": settings.replica_url, "replica_url": None, "connect_timeout_seconds": connect_seconds}
    )


class StaleReader:
    """Reads what is only shown to somebody; never what decides who may do or spend something.

    Args:
        primary: Answers when there is no replica, and while it fails or lacks the newest schema.
        replica: The replica, if there is one.
        reads: Counts, with a replica, which of the two answered: `replica`, `primary`.
    """

    def __init__(self, primary: Database, replica: Database | None, reads: Counter) -> None:
        self._primary = primary
        self._replica = replica
        self._reads = reads
        self._rests_until = 0.0

    async def rows(self, statement: Select[Any]) -> Sequence[RowMapping]:
        """Return the rows of a query.

        Raises:
            UnavailableError: Neither can be reached.
        """
        if self._replica is None:
            return await self._primary.rows(statement)
        if time.monotonic() >= self._rests_until:
            with suppress(AppError):
                return await self._read_replica(self._replica, statement)
        self._reads.labels("primary").inc()
        return await self._primary.rows(statement)

    async def _read_replica(self, replica: Database, statement: Select[Any]) -> Sequence[RowMapping]:
        if self._rests_until:
            self._rest()
        try:
            rows = await replica.rows(statement)
        except AppError:
            self._rest()
            raise
        self._rests_until = 0.0
        self._reads.labels("replica").inc()
        return rows

    def _rest(self) -> None:
        self._rests_until = time.monotonic() + _REST_SECONDS
