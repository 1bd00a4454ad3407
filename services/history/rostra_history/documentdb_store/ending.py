"""How a response ends, exactly once, without transactions.

1. The output is inserted. Nobody sees it yet: a response's output is what its `output_ids` name.
2. One update of the response, which applies only while nothing is decided, decides how it ends and names its output.
   Whoever comes second removes the output that they inserted in vain.
3. A response that joins no conversation has ended with that. For the others, the decision is kept in `ending`, while
   the response is still seen in progress; then input and output get their places in the conversation (the same ones
   however often this step is made), and then the status is set.

Each step may be repeated. A writer that dies leaves a response in progress; the next call to finish it, whatever that
call says, takes it to the decided end.
"""

from collections.abc import Sequence
from typing import Any

from pymongo import ReturnDocument, UpdateOne

from rostra_history.documentdb_store.database import Database, Document, existing
from rostra_history.documentdb_store.items import insert_items
from rostra_history.documentdb_store.places import Place, reserve
from rostra_history.domain import Item, ItemKind, Response, ResponseStatus
from rostra_history.errors import ResponseNotFound

_IN_PROGRESS = {"status": ResponseStatus.IN_PROGRESS.value}


async def finish(database: Database, response: Response, output: Sequence[Item], *, now_us: int) -> None:
    """End the response as `ResponseStore.finish` promises."""
    await insert_items(database, output)
    decided = await _decide(database, response, [item.id for item in output])
    kept = set(decided["output_ids"]) if decided else set()
    in_vain = [item.id for item in output if item.id not in kept]
    if in_vain:
        await database.items.delete_many({"_id": {"$in": in_vain}, "owner": response.owner})
    if decided is None:
        raise ResponseNotFound(response.id)
    if decided["ending"] is not None:
        await _join(database, decided, now_us)


async def _decide(database: Database, response: Response, output_ids: list[str]) -> Document | None:
    """Return the response's document with what is decided, here or before; `None` where there is none."""
    end = {"status": response.status.value, "body": response.body}
    if response.joins_conversation:
        changes: Document = {"ending": end}
    else:
        changes = end | {"leaf_id": response.leaf_id, "next_seq": response.next_seq}
    decided = await database.responses.find_one_and_update(
        existing(response.owner, response.id) | _IN_PROGRESS | {"ending": None},
        {"$set": changes | {"output_ids": output_ids}},
        return_document=ReturnDocument.AFTER,
    )
    return decided or await database.responses.find_one(existing(response.owner, response.id))


async def _join(database: Database, decided: Document, now_us: int) -> None:
    """Make input and output members of the conversation, and the decided status the response's own."""
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
        existing(owner, response_id) | _IN_PROGRESS, {"$set": decided["ending"] | path | {"ending": None}}
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
