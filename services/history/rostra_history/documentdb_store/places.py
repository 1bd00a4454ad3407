"""Places in a conversation: taken by one atomic update, and taken only once for the same purpose.

A conversation's document remembers, in `appends`, what happened to its end lately, oldest first: appends, each with the
number of its items and the last one's id, and moves, by which another item became active. As each append but one made
aside follows what was active then, which is what the entry before left, an append's place can be told afterwards
without having been written anywhere.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rostra_history.documentdb_store.database import Database, Document, existing
from rostra_history.domain import BranchPoint
from rostra_history.thread import Link, Node

# How much a conversation remembers, so that an append which is repeated gets the same places.
_REMEMBERED = 64


@dataclass(frozen=True, slots=True)
class Place:
    """Where a path of new items begins: the rank of the first, and the item before it."""

    first_seq: int
    parent_id: str | None


@dataclass(frozen=True, slots=True)
class Append:
    """An append that is remembered: its purpose, its place, how many items it has and which is the last one."""

    key: str
    place: Place
    count: int
    leaf_id: str

    @property
    def end_seq(self) -> int:
        """Return the rank after the last item's."""
        return self.place.first_seq + self.count


async def reserve(
    database: Database,
    *,
    owner: str,
    conversation_id: str,
    key: str,
    item_ids: Sequence[str],
    now_us: int,
    branch: BranchPoint | None = None,
) -> Place | None:
    """Take the next places of the conversation for these items; `None` where there is no conversation.

    They follow the active item, and the last of them is active then; but when there was a switch since the point
    `branch` that they were made for, they follow that, and the active item stays.

    The places taken under the same `key` before are returned again, also after a crash; when more than 64 others have
    been taken or moves made since, new ones are taken, which moves the items but loses none.
    """
    conversations = database.conversations
    free = existing(owner, conversation_id) | {"appends.key": {"$ne": key}}
    same = {"switch_count": branch.switch_count} if branch else {}
    if item_ids:
        before = await conversations.find_one_and_update(
            free | same, _append(key, item_ids, now_us), projection={"next_seq": 1, "leaf_id": 1}
        )
        if before is not None:
            return Place(before["next_seq"], before["leaf_id"])
        if branch is not None:
            before = await conversations.find_one_and_update(
                free | {"switch_count": {"$ne": branch.switch_count}},
                _append(key, item_ids, now_us, aside=branch),
                projection={"next_seq": 1},
            )
            if before is not None:
                return Place(before["next_seq"], branch.leaf_id)
    conversation = await conversations.find_one(existing(owner, conversation_id))
    return None if conversation is None else _recall(conversation, key, branch)


async def lost_places(
    database: Database, *, owner: str, conversation_id: str, members: Sequence[Node], end_seq: int
) -> list[Link]:
    """Return a tombstone for each append whose last item is not there, if the conversation remembers it.

    Args:
        database: Where.
        owner: Whose conversation it is.
        conversation_id: Its name.
        members: Its members of rank below `end_seq`, sorted by rank.
        end_seq: The rank from which on nothing is looked for.
    """
    if not members or len(members) == end_seq:
        return []  # all places are filled; most often it is so
    conversation = await database.conversations.find_one(
        existing(owner, conversation_id), {"appends": 1, "next_seq": 1}
    )
    if conversation is None:
        return []
    ids = {member.id for member in members}
    lost = [append for append in remembered(conversation) if append.leaf_id not in ids and append.end_seq <= end_seq]
    return [_tombstone(append, members, conversation_id) for append in lost]


def _tombstone(append: Append, members: Sequence[Node], conversation_id: str) -> Link:
    """Return what stands for the last item of an append; what is there of the others comes before it."""
    there = [member.id for member in members if append.place.first_seq <= (member.seq or 0) < append.end_seq]
    parent_id = there[-1] if there else append.place.parent_id
    return Link(append.leaf_id, parent_id, None, conversation_id, seq=append.end_seq - 1, deleted=True)


def first_append(leaf_id: str | None, count: int) -> list[Document]:
    """Return what a new conversation remembers of its first items."""
    return [{"key": leaf_id, "count": count, "leaf_id": leaf_id}] if count else []


def first_move(leaf_id: str | None) -> list[Document]:
    """Return what a new conversation remembers that begins with branches: which one is shown."""
    return [_move(leaf_id)]


def moved(leaf_id: str | None) -> Document:
    """Return the update by which the item `leaf_id` becomes the active one."""
    return {"$set": {"leaf_id": leaf_id}} | _remember(_move(leaf_id))


def remembered(conversation: Document) -> Iterator[Append]:
    """Return the appends that the conversation remembers, oldest first."""
    entries = conversation["appends"]
    seq = conversation["next_seq"] - sum(entry["count"] for entry in entries)
    # What the oldest one followed may be forgotten: then its key serves as parent, as no item has that name.
    forgotten = seq > 0
    active_id: str | None = None
    for entry in entries:
        aside = "parent_id" in entry
        parent_id = entry["parent_id"] if aside else (entry["key"] if forgotten else active_id)
        if entry["count"]:
            yield Append(entry["key"], Place(seq, parent_id), entry["count"], entry["leaf_id"])
        seq += entry["count"]
        if not aside:
            active_id, forgotten = entry["leaf_id"], False


def _append(key: str, item_ids: Sequence[str], now_us: int, *, aside: BranchPoint | None = None) -> Document:
    entry: Document = {"key": key, "count": len(item_ids), "leaf_id": item_ids[-1]}
    values: Document = {"update_time_us": now_us}
    if aside is not None:
        entry["parent_id"] = aside.leaf_id
    else:
        values["leaf_id"] = item_ids[-1]
    return {"$inc": {"next_seq": len(item_ids)}, "$set": values} | _remember(entry)


def _move(leaf_id: str | None) -> Document:
    return {"key": None, "count": 0, "leaf_id": leaf_id}


def _remember(entry: Document) -> Document:
    return {"$push": {"appends": {"$each": [entry], "$slice": -_REMEMBERED}}}


def _recall(conversation: Document, key: str, branch: BranchPoint | None) -> Place:
    """Return the places that were taken under `key`, or, if none were, those that would be taken now."""
    for append in remembered(conversation):
        if append.key == key:
            return append.place
    if branch is not None and branch.switch_count != conversation["switch_count"]:
        return Place(conversation["next_seq"], branch.leaf_id)
    return Place(conversation["next_seq"], conversation["leaf_id"])
