"""The queue of responses that have not ended, in SQLite."""

import json
import sqlite3
from collections.abc import Sequence

from rostra_history.domain import Response, ResponseStatus
from rostra_history.errors import ResponseNotFound
from rostra_history.leases import Claim, Job, Lease, Renewal
from rostra_history.sqlite_store.database import Database
from rostra_history.sqlite_store.rows import to_response

_CLAIM = """
UPDATE run SET lease_end_us = :lease_end_us, tries = tries + 1 WHERE response_id = (
    SELECT response_id FROM run WHERE claim_time_us <= :now_us AND lease_end_us < :now_us
    ORDER BY claim_time_us LIMIT 1)
RETURNING *
"""
_START = "UPDATE response SET status = 'in_progress', attempt = attempt + 1 WHERE id = ? RETURNING *"
_RENEW = """
UPDATE run SET
    lease_end_us = iif(tries = 0, lease_end_us, :end_us), claim_time_us = iif(tries = 0, :end_us, claim_time_us)
WHERE response_id IN (
    SELECT response.id FROM json_each(:leases) AS lease JOIN response
    ON response.id = json_extract(lease.value, '$[0]') AND response.attempt = json_extract(lease.value, '$[1]')
    WHERE response.status = 'in_progress')
RETURNING response_id, cancel_requested
"""
_RELEASE = "UPDATE response SET status = 'queued' WHERE id = ? AND attempt = ? AND status = 'in_progress'"
_GIVE_BACK = "UPDATE run SET lease_end_us = 0, tries = tries - 1 WHERE response_id = ?"
_GET = "SELECT * FROM response WHERE owner = ? AND id = ?"
_CANCEL = "UPDATE response SET status = 'cancelled', attempt = attempt + 1 WHERE id = ? RETURNING *"
_REQUEST_CANCEL = "UPDATE run SET cancel_requested = 1 WHERE response_id = ?"


class SqliteResponseQueue:
    """A `ResponseQueue` on SQLite."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, *, now_us: int, lease_end_us: int) -> Claim | None:
        """Give the oldest response that waits to the calling runner."""

        def claim(connection: sqlite3.Connection) -> Claim | None:
            values = {"now_us": now_us, "lease_end_us": lease_end_us}
            runs = connection.execute(_CLAIM, values).fetchall()
            if not runs:
                return None
            [run] = runs
            [row] = connection.execute(_START, (run["response_id"],)).fetchall()
            job = None if run["request_body"] is None else Job(run["request_body"], run["caller"])
            return Claim(response=to_response(row), job=job, tries=run["tries"])

        return await self._database.write(claim)

    async def renew(self, leases: Sequence[Lease], *, lease_end_us: int) -> Renewal:
        """Let the leases last until `lease_end_us`."""
        pairs = [(lease.response_id, lease.attempt) for lease in leases]
        values = {"end_us": lease_end_us, "leases": json.dumps(pairs)}

        def renew(connection: sqlite3.Connection) -> dict[str, bool]:
            rows = connection.execute(_RENEW, values).fetchall()
            return {row["response_id"]: bool(row["cancel_requested"]) for row in rows}

        return Renewal.of(leases, cancelled_by_id=await self._database.write(renew))

    async def release(self, lease: Lease) -> None:
        """Put the response back to where it was."""

        def release(connection: sqlite3.Connection) -> None:
            cursor = connection.execute(_RELEASE, (lease.response_id, lease.attempt))
            if cursor.rowcount:
                connection.execute(_GIVE_BACK, (lease.response_id,))

        await self._database.write(release)

    async def cancel(self, *, owner: str, response_id: str) -> Response:
        """Cancel a background response."""

        def cancel(connection: sqlite3.Connection) -> Response:
            rows = connection.execute(_GET, (owner, response_id)).fetchall()
            if not rows:
                raise ResponseNotFound(response_id)
            response = to_response(rows[0])
            if response.background and response.status is ResponseStatus.QUEUED:
                rows = connection.execute(_CANCEL, (response_id,)).fetchall()
                connection.execute("DELETE FROM run WHERE response_id = ?", (response_id,))
            elif response.background:
                connection.execute(_REQUEST_CANCEL, (response_id,))
            return to_response(rows[0])

        return await self._database.write(cancel)
