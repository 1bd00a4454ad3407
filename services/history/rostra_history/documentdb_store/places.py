"""Places at the end of a conversation: taken by one atomic update, and taken only once for the same purpose."""

from collections.abc import Sequence
from dataclasses import dataclass

from rostra_history.documentdb_store.database import Database, Document, existing

# How many of its latest appends a conversation remembers, so that one which is repeated gets the same places.
_REMEMBERED = 64


@dataclass(frozen=True, slots=True)
class Place:
    """Where a path of new items begins: the rank of the first, and the item before it."""

    first_seq: int
    parent_id: str | None


async def reserve(
    database: Database, *, owner: str, conversation_id: str, key: str, item_ids: Sequence[str], now_us: int
) -> Place | None:
    """Take the next places of the conversation for these items; `None` where there is no conversation.

    The places taken under the same `key` before are returned again, also after a crash; when more than 64 others have
    appended since, new ones are taken, which moves the items but loses none.
    """
    conversations = database.conversations
    if item_ids:
        leaf_id, count = item_ids[-1], len(item_ids)
        remembered = {"key": key, "count": count, "leaf_id": leaf_id}
        before = await conversations.find_one_and_update(
            existing(owner, conversation_id) | {"appends.key": {"$ne": key}},
            {
                "$inc": {"next_seq": count},
                "$set": {"leaf_id": leaf_id, "update_time_us": now_us},
                "$push": {"appends": {"$each": [remembered], "$slice": -_REMEMBERED}},
            },
            projection={"next_seq": 1, "leaf_id": 1},
        )
        if before is not None:
            return Place(before["next_seq"], before["leaf_id"])
    conversation = await conversations.find_one(existing(owner, conversation_id))
    return None if conversation is None else recall(conversation, key)


def recall(conversation: Document, key: str) -> Place:
    """Return the places that were taken under `key`, or the conversation's end if none were."""
    seq, appends = conversation["next_seq"], conversation["appends"]
    for index in reversed(range(len(appends))):
        seq -= appends[index]["count"]
        if appends[index]["key"] == key:
            # Where the append before is forgotten, the key serves as parent: it names no item, so paths lead over it.
            forgotten = key if seq else None
            return Place(seq, appends[index - 1]["leaf_id"] if index else forgotten)
    return Place(conversation["next_seq"], conversation["leaf_id"])
