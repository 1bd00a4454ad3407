"""How a response ends, exactly once, without transactions.

1. One update of the response, which applies only while nothing is decided, decides how it ends. The decision, kept in
   `ending`, holds the output itself: what others have to say of the response is written nowhere, so there is nothing to
   replace or to take back, and nothing of theirs can get in between.
2. The output is inserted as the decision has it. Nobody sees it yet: the response is still in progress. When it joins
   a conversation, input and output have got their places there before (the same ones however often this is done), on
   the branch that the response was made for.
3. The status is set, and the decision forgotten.

Each step may be repeated, by anybody. A writer that dies leaves a response in progress; the next call to finish it,
whatever that call says, or to claim it, which anybody may do soon after the decision, takes it to the decided end.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from pymongo import ReturnDocument, UpdateOne

from rostra_history.documentdb_store.database import Database, Document, existing
from rostra_history.documentdb_store.documents import END_OF_RUN, WITHOUT_RUN, item_document, to_item
from rostra_history.documentdb_store.items import insert_items
from rostra_history.documentdb_store.places import Place, reserve
from rostra_history.domain import BranchPoint, Item, ItemKind, Response, ResponseStatus
from rostra_history.errors import LeaseLost, ResponseNotFound
from rostra_history.thread import place
from rostra_kit.errors import AlreadyExistsError

_IN_PROGRESS = {"status": ResponseStatus.IN_PROGRESS.value}
# Time for steps 2 and 3, after which a runner makes them.
_REACH_US = 5_000_000


async def finish(database: Database, response: Response, output: Sequence[Item], *, now_us: int) -> None:
    """End the response as `ResponseStore.finish` promises."""
    await _check_ids(database, response, [item.id for item in output])
    decided = await _decide(database, response, output, now_us=now_us)
    if decided is None:
        raise ResponseNotFound(response.id)
    end = decided["ending"] or decided
    if decided["ending"] is not None:
        await reach_end(database, decided, now_us=now_us)
    if end["attempt"] != response.attempt or end["status"] == ResponseStatus.QUEUED.value:
        raise LeaseLost(response.id)


async def reach_end(database: Database, decided: Document, *, now_us: int) -> None:
    """Bring the response to its decided end: its output inserted, in its conversation if it joins one, its status set.

    Raises:
        ResponseNotFound: The response is deleted.
    """
    owner, response_id = decided["owner"], decided["_id"]
    output = [to_item(document) for document in decided["ending"]["output"]]
    path: Document = {}
    if decided["conversation_id"] is not None and ResponseStatus(decided["ending"]["status"]).ended_well:
        output, path = await _join(database, decided, output, now_us=now_us)
        # Deleted meanwhile, it has left nothing in the conversation. Later nothing could be taken back: it might have
        # ended by another's hand, and what it left then stays.
        await _check_existence(database, decided)
    with suppress(AlreadyExistsError):  # looked for before the decision, which holds by now
        await insert_items(database, output)
    end = {name: value for name, value in decided["ending"].items() if name != "output"}
    output_ids = [item.id for item in output]
    ended = await database.responses.update_one(
        existing(owner, response_id) | _IN_PROGRESS,
        {"$set": end | path | {"output_ids": output_ids, "ending": None}, "$unset": END_OF_RUN},
    )
    if not ended.matched_count:
        await _check_existence(database, decided)


async def _check_existence(database: Database, decided: Document) -> None:
    if await database.responses.find_one(existing(decided["owner"], decided["_id"]), {"_id": 1}) is None:
        raise ResponseNotFound(decided["_id"])


async def _check_ids(database: Database, response: Response, output_ids: list[str]) -> None:
    taken = {"_id": {"$in": output_ids}, "response_id": {"$ne": response.id}}
    if output_ids and await database.items.find_one(taken, {"_id": 1}) is not None:
        raise AlreadyExistsError("The id of an item is taken.")


async def _decide(database: Database, response: Response, output: Sequence[Item], *, now_us: int) -> Document | None:
    """Return the response's document with what is decided, here or before; `None` where there is none."""
    # A claim between the steps raises the attempt: the end brings back the one that decided it.
    end = {
        "status": response.status.value,
        "body": response.body,
        "attempt": response.attempt,
        "leaf_id": response.leaf_id,
        "next_seq": response.next_seq,
        "output": [item_document(item) for item in output],
    }
    # One whose client waits is in the queue for much later; if this writer dies, nobody shall wait that long.
    reached = {"ending": end, "run.claim_time_us": now_us + _REACH_US}
    decided = await database.responses.find_one_and_update(
        existing(response.owner, response.id) | _IN_PROGRESS | {"attempt": response.attempt, "ending": None},
        {"$set": reached, "$unset": {"run.job": ""}},
        projection=WITHOUT_RUN,
        return_document=ReturnDocument.AFTER,
    )
    return decided or await database.responses.find_one(existing(response.owner, response.id), WITHOUT_RUN)


async def _join(
    database: Database, decided: Document, output: list[Item], *, now_us: int
) -> tuple[list[Item], Document]:
    """Take places for input and output in the conversation; return the output with its own, and the path's end."""
    owner, response_id, conversation_id = decided["owner"], decided["_id"], decided["conversation_id"]
    given = {"owner": owner, "response_id": response_id, "kind": ItemKind.INPUT.value}
    async with database.items.find(given, {"_id": 1}, sort=[("position", 1)]) as cursor:
        input_ids = [item["_id"] async for item in cursor]
    item_ids = input_ids + [item.id for item in output]
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
    await _set_places(database, owner, input_ids, start, conversation_id)
    placed = place(
        output,
        first_seq=start.first_seq + len(input_ids),
        parent_id=input_ids[-1] if input_ids else start.parent_id,
        conversation_id=conversation_id,
    )
    leaf_id = item_ids[-1] if item_ids else start.parent_id
    return placed, {"leaf_id": leaf_id, "next_seq": start.first_seq + len(item_ids)}


async def _set_places(
    database: Database, owner: str, item_ids: Sequence[str], start: Place, conversation_id: str | None
) -> None:
    updates: list[UpdateOne] = []
    parent_id = start.parent_id
    for seq, item_id in enumerate(item_ids, start.first_seq):
        where: dict[str, Any] = {"seq": seq, "parent_id": parent_id, "conversation_id": conversation_id}
        updates.append(UpdateOne({"_id": item_id, "owner": owner}, {"$set": where}))
        parent_id = item_id
    if updates:
        await database.items.bulk_write(updates)
