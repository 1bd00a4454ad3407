"""The queue of responses that have not ended, in Amazon DocumentDB: an index on a part of their documents, `run`."""

from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress

from pymongo import ReturnDocument, UpdateMany

from rostra_history.documentdb_store.database import Database, Document, existing
from rostra_history.documentdb_store.documents import END_OF_RUN, WITHOUT_RUN, to_response, unfinished
from rostra_history.documentdb_store.ending import reach_end
from rostra_history.domain import Response, ResponseStatus
from rostra_history.errors import ResponseNotFound
from rostra_history.leases import Claim, Job, Lease, Renewal

_QUEUED = {"status": ResponseStatus.QUEUED.value}
_RUNNING = {"status": ResponseStatus.IN_PROGRESS.value, "deleting": False}


class DocumentdbResponseQueue:
    """A `ResponseQueue` on Amazon DocumentDB."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._responses = database.responses

    async def claim(self, *, now_us: int, lease_end_us: int) -> Claim | None:
        """Give the oldest response that waits to the calling runner."""
        return await self._database.write(self._claim(now_us, lease_end_us))

    async def renew(self, leases: Sequence[Lease], *, lease_end_us: int) -> Renewal:
        """Let the leases last until `lease_end_us`."""
        return await self._database.write(self._renew(leases, lease_end_us))

    async def release(self, lease: Lease) -> None:
        """Put the response back to where it was."""
        held = {"_id": lease.response_id, "attempt": lease.attempt, "ending": None} | _RUNNING
        update = {"$set": _QUEUED | {"run.lease_end_us": 0}, "$inc": {"run.tries": -1}}
        await self._database.write(self._responses.update_one(held, update))

    async def cancel(self, *, owner: str, response_id: str) -> Response:
        """Cancel a background response."""
        return await self._database.write(self._cancel(owner, response_id))

    async def _claim(self, now_us: int, lease_end_us: int) -> Claim | None:
        waiting = {
            "run.claim_time_us": {"$exists": True, "$lte": now_us},
            "run.lease_end_us": {"$exists": True, "$lt": now_us},
            "deleting": False,
        }
        update = {
            "$set": {"status": ResponseStatus.IN_PROGRESS.value, "run.lease_end_us": lease_end_us},
            "$inc": {"attempt": 1, "run.tries": 1},
        }
        while claimed := await self._responses.find_one_and_update(
            waiting, update, sort=[("run.claim_time_us", 1)], return_document=ReturnDocument.AFTER
        ):
            if claimed["ending"] is None:
                return _to_claim(claimed)
            # Whoever decided its end died before it was reached: nothing is left to run.
            with suppress(ResponseNotFound):
                await reach_end(self._database, claimed, now_us=now_us)
        return None

    async def _renew(self, leases: Sequence[Lease], lease_end_us: int) -> Renewal:
        ids_by_attempt = defaultdict(list)
        for lease in leases:
            ids_by_attempt[lease.attempt].append(lease.response_id)
        claimed, unclaimed = {"run.lease_end_us": lease_end_us}, {"run.claim_time_us": lease_end_us}
        updates = [
            UpdateMany(
                {"_id": {"$in": response_ids}, "attempt": attempt} | _RUNNING,
                {"$set": claimed if attempt else unclaimed},
            )
            for attempt, response_ids in ids_by_attempt.items()
        ]
        if updates:
            await self._responses.bulk_write(updates, ordered=False)
        running = {"_id": {"$in": [lease.response_id for lease in leases]}} | _RUNNING
        held = set(leases)
        async with self._responses.find(running, {"attempt": 1, "run.cancel_requested": 1}) as cursor:
            cancelled_by_id = {
                found["_id"]: found["run"]["cancel_requested"]
                async for found in cursor
                if Lease(found["_id"], found["attempt"]) in held
            }
        return Renewal.of(leases, cancelled_by_id=cancelled_by_id)

    async def _cancel(self, owner: str, response_id: str) -> Response:
        # Asked for first: whoever claims the response before the second update will hear of it.
        document = await self._update(
            existing(owner, response_id) | unfinished() | {"background": True},
            {"$set": {"run.cancel_requested": True}},
        )
        if document is not None and document["status"] == ResponseStatus.QUEUED.value:
            document = await self._update(
                existing(owner, response_id) | _QUEUED,
                {"$set": {"status": ResponseStatus.CANCELLED.value}, "$inc": {"attempt": 1}, "$unset": END_OF_RUN},
            )
        document = document or await self._responses.find_one(existing(owner, response_id), WITHOUT_RUN)
        if document is None:
            raise ResponseNotFound(response_id)
        return to_response(document)

    async def _update(self, query: Document, update: Document) -> Document | None:
        return await self._responses.find_one_and_update(
            query, update, projection=WITHOUT_RUN, return_document=ReturnDocument.AFTER
        )


def _to_claim(document: Document) -> Claim:
    run = document["run"]
    job = None if run["job"] is None else Job(**run["job"])
    return Claim(response=to_response(document), job=job, tries=run["tries"])
