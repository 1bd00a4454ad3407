"""How a response ends, exactly once, without transactions.

1. The output is inserted. Nobody sees it yet: a response's output is what its `output_ids` name. A runner that takes a
   response over goes on with the same ids: items bear the attempt that wrote them, and only an older one's is replaced.
2. One update of the response, which applies only while nothing is decided, decides how it ends and names its output.
   Whoever comes second removes the output that they inserted in vain.
3. A response that joins no conversation has ended with that. For the others, the decision is kept in `ending`, while
   the response is still seen in progress; then input and output get their places in the conversation (the same ones
   however often this step is made), on the branch that the response was made for, and then the status is set.

Each step may be repeated. A writer that dies leaves a response in progress; the next call to finish it, whatever that
call says, or to claim it when its lease has ended, takes it to the decided end.
"""

from collections.abc import Sequence
from typing import Any

from pymongo import ReturnDocument, UpdateOne

from rostra_history.documentdb_store.database import Database, Document, existing
from rostra_history.documentdb_store.documents import END_OF_RUN, WITHOUT_RUN
from rostra_history.documentdb_store.items import insert_items
from rostra_history.documentdb_store.places import Place, reserve
from rostra_history.domain import BranchPoint, Item, ItemKind, Response, ResponseStatus
from rostra_history.errors import LeaseLost, ResponseNotFound

_IN_PROGRESS = {"status": ResponseStatus.IN_PROGRESS.value}


async def finish(database: Database, response: Response, output: Sequence[Item], *, now_us: int) -> None:
    """End the response as `ResponseStore.finish` promises."""
    await insert_items(database, output, attempt=response.attempt)
    decided = await _decide(database, response, [item.id for item in output])
    kept = set(decided["output_ids"]) if decided else set()
    in_vain = [item.id for item in output if item.id not in kept]
    if in_vain:
        own = {"owner": response.owner, "attempt": response.attempt}
        await database.items.delete_many({"_id": {"$in": in_vain}} | own)
    if decided is None:
        raise ResponseNotFound(response.id)
    end = decided["ending"] or decided
    if decided["ending"] is not None:
        await join(database, decided, now_us=now_us)
    if end["attempt"] != response.attempt or end["status"] == ResponseStatus.QUEUED.value:
        raise LeaseLost(response.id)


async def _decide(database: Database, response: Response, output_ids: list[str]) -> Document | None:
    """Return the response's document with what is decided, here or before; `None` where there is none."""
    # A claim in the middle of step 3 raises the attempt: the end brings back the one that decided it.
    end = {"status": response.status.value, "body": response.body, "attempt": response.attempt}
    if response.joins_conversation:
        update: Document = {"$set": {"ending": end, "output_ids": output_ids}}
    else:
        path = {"leaf_id": response.leaf_id, "next_seq": response.next_seq}
        update = {"$set": end | path | {"output_ids": output_ids}, "$unset": END_OF_RUN}
    decided = await database.responses.find_one_and_update(
        existing(response.owner, response.id) | _IN_PROGRESS | {"attempt": response.attempt, "ending": None},
        update,
        projection=WITHOUT_RUN,
        return_document=ReturnDocument.AFTER,
    )
    return decided or await database.responses.find_one(existing(response.owner, response.id), WITHOUT_RUN)


async def join(database: Database, decided: Document, *, now_us: int) -> None:
    """Make input and output members of the conversation, and the decided status the response's own.

    Raises:
        ResponseNotFound: The response is deleted.
    """
    owner, response_id, conversation_id = decided["owner"], decided["_id"], decided["conversation_id"]
    given = {"owner": owner, "response_id": response_id, "kind": ItemKind.INPUT.value}
    async with database.items.find(given, {"_id": 1}, sort=[("position", 1)]) as cursor:
        item_ids = [item["_id"] async for item in cursor] + decided["output_ids"]
    start = await reserve(
        database,
        owner=owner,
        conversation_id=conversation_id,
        key=response_id,
        item_ids=item_ids,
        now_us=now_us,
        branch=BranchPoint(decided["leaf_id"], decided["next_seq"], decided["switch_count"]),
    )
    if start is None:
        # The conversation is gone: a path of their own, so that the response can still be continued.
        start, conversation_id = Place(0, None), None
    await _set_places(database, owner, item_ids, start, conversation_id)
    path = {
        "leaf_id": item_ids[-1] if item_ids else start.parent_id,
        "next_seq": start.first_seq + len(item_ids),
    }
    ended = await database.responses.update_one(
        existing(owner, response_id) | _IN_PROGRESS,
        {"$set": decided["ending"] | path | {"ending": None}, "$unset": END_OF_RUN},
    )
    if not ended.matched_count and await database.responses.find_one(existing(owner, response_id), {"_id": 1}) is None:
        raise ResponseNotFound(response_id)


async def _set_places(
    database: Database, owner: str, item_ids: Sequence[str], start: Place, conversation_id: str | None
) -> None:
    updates: list[UpdateOne] = []
    parent_id = start.parent_id
    for seq, item_id in enumerate(item_ids, start.first_seq):
        place: dict[str, Any] = {"seq": seq, "parent_id": parent_id, "conversation_id": conversation_id}
        updates.append(UpdateOne({"_id": item_id, "owner": owner}, {"$set": place}))
        parent_id = item_id
    if updates:
        await database.items.bulk_write(updates)
