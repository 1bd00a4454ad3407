"""Items in Amazon DocumentDB."""

from collections.abc import Sequence

from pymongo import ReturnDocument
from pymongo.errors import BulkWriteError

from rostra_history.documentdb_store.database import Database, Document, existing, member
from rostra_history.documentdb_store.documents import (
    LINK_FIELDS,
    WITHOUT_TERMS,
    item_document,
    to_conversation,
    to_item,
    to_link,
)
from rostra_history.documentdb_store.pages import item_page
from rostra_history.documentdb_store.places import lost_places, moved, reserve
from rostra_history.domain import Conversation, Item, Page, PageRequest
from rostra_history.errors import ConversationNotFound, ItemNotFound
from rostra_history.thread import Link, path_to, place
from rostra_kit.errors import AlreadyExistsError

_DUPLICATE_KEY = 11000


class DocumentdbItemStore:
    """An `ItemStore` on Amazon DocumentDB."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._items = database.items

    async def append(self, *, owner: str, conversation_id: str, items: Sequence[Item], now_us: int) -> list[Item]:
        """Append items to the conversation."""
        return await self._database.write(self._append(owner, conversation_id, items, now_us))

    async def get(self, *, owner: str, conversation_id: str, item_id: str) -> Item:
        """Return a member of the conversation."""
        document = await self._database.read(
            self._items.find_one(member(owner, conversation_id, item_id), WITHOUT_TERMS)
        )
        if document is None:
            raise ItemNotFound(item_id)
        return to_item(document)

    async def list_page(self, *, owner: str, conversation_id: str, end_seq: int, page: PageRequest) -> Page[Item]:
        """Return a page of the conversation's members."""
        members = {"owner": owner, "conversation_id": conversation_id}
        return await self._database.read(item_page(self._items, members, rank="seq", page=page, end=end_seq))

    async def get_many(self, *, owner: str, item_ids: Sequence[str]) -> list[Item]:
        """Return the owner's items of these ids."""
        query = {"_id": {"$in": list(item_ids)}, "owner": owner, "deleted": False}
        found = {document["_id"]: to_item(document) for document in await self._find(query)}
        return [found[item_id] for item_id in item_ids if item_id in found]

    async def delete(self, *, owner: str, conversation_id: str, item_id: str, now_us: int) -> Conversation:
        """Replace a member by a tombstone."""
        return await self._database.write(self._delete(owner, conversation_id, item_id, now_us))

    async def load_thread(self, *, owner: str, thread_id: str, end_seq: int) -> list[Item]:
        """Return the thread's placed items."""
        query = {"owner": owner, "thread_id": thread_id, "seq": {"$gte": 0, "$lt": end_seq}}
        items = [to_item(document) for document in await self._find(query)]
        members = [item for item in items if item.conversation_id is not None]
        lost = await self._database.read(
            lost_places(self._database, owner=owner, conversation_id=thread_id, members=members, end_seq=end_seq)
        )
        items += [_tombstone(link, owner) for link in lost]
        return sorted(items, key=lambda item: item.seq or 0) if lost else items

    async def load_links(self, *, owner: str, conversation_id: str, end_seq: int) -> list[Link]:
        """Return the conversation's members without their bodies."""
        query = {"owner": owner, "conversation_id": conversation_id, "seq": {"$gte": 0, "$lt": end_seq}}
        links = [to_link(document) for document in await self._find(query, LINK_FIELDS)]
        lost = await self._database.read(
            lost_places(self._database, owner=owner, conversation_id=conversation_id, members=links, end_seq=end_seq)
        )
        return sorted([*links, *lost], key=lambda link: link.seq or 0)

    async def _find(self, query: Document, fields: Document = WITHOUT_TERMS) -> list[Document]:
        async def find() -> list[Document]:
            async with self._items.find(query, fields, sort=[("seq", 1)]) as cursor:
                return await cursor.to_list()

        return await self._database.read(find())

    async def _append(self, owner: str, conversation_id: str, items: Sequence[Item], now_us: int) -> list[Item]:
        item_ids = [item.id for item in items]
        taken = await reserve(
            self._database,
            owner=owner,
            conversation_id=conversation_id,
            key=item_ids[0] if item_ids else "",
            item_ids=item_ids,
            now_us=now_us,
        )
        if taken is None:
            raise ConversationNotFound(conversation_id)
        placed = place(items, first_seq=taken.first_seq, parent_id=taken.parent_id, conversation_id=conversation_id)
        await insert_items(self._database, placed)
        if await self._database.conversations.find_one(existing(owner, conversation_id), {"_id": 1}) is None:
            # It was deleted in between, perhaps before these items were there to be deleted with it.
            await self._items.delete_many({"_id": {"$in": item_ids}, "owner": owner})
            raise ConversationNotFound(conversation_id)
        return placed

    async def _delete(self, owner: str, conversation_id: str, item_id: str, now_us: int) -> Conversation:
        conversations = self._database.conversations
        conversation = await conversations.find_one_and_update(
            existing(owner, conversation_id),
            {"$set": {"update_time_us": now_us}},
            return_document=ReturnDocument.AFTER,
        )
        if conversation is None:
            raise ConversationNotFound(conversation_id)
        buried = await self._items.update_one(
            member(owner, conversation_id, item_id),
            {"$set": {"deleted": True, "body": "", "terms": [], "feedback": None}},
        )
        if conversation["leaf_id"] == item_id and (buried.matched_count or await self._is_tombstone(owner, item_id)):
            # Also where an earlier deletion died before this step.
            conversation = await self._step_back(conversation) or conversation
        if not buried.matched_count:
            raise ItemNotFound(item_id)
        return to_conversation(conversation)

    async def _is_tombstone(self, owner: str, item_id: str) -> bool:
        return await self._items.find_one({"_id": item_id, "owner": owner, "deleted": True}, {"_id": 1}) is not None

    async def _step_back(self, conversation: Document) -> Document | None:
        """Make the last item that is shown the active one, unless another one has become that."""
        owner, conversation_id, leaf_id = conversation["owner"], conversation["_id"], conversation["leaf_id"]
        links = await self.load_links(owner=owner, conversation_id=conversation_id, end_seq=conversation["next_seq"])
        path = path_to(leaf_id, links)
        return await self._database.conversations.find_one_and_update(
            existing(owner, conversation_id) | {"leaf_id": leaf_id},
            moved(path[-1].id if path else None),
            return_document=ReturnDocument.AFTER,
        )


async def insert_items(database: Database, items: Sequence[Item]) -> None:
    """Insert the items of one response, or of one append; those that are there already stay.

    Raises:
        AlreadyExistsError: Something else has the id of one.
    """
    if not items:
        return
    try:
        await database.items.insert_many([item_document(item) for item in items], ordered=False)
    except BulkWriteError as error:
        if any(failure["code"] != _DUPLICATE_KEY for failure in error.details["writeErrors"]):
            raise
        same = {"owner": items[0].owner, "response_id": items[0].response_id}
        there = await database.items.count_documents(same | {"_id": {"$in": [item.id for item in items]}})
        if there != len(items):
            raise AlreadyExistsError("The id of an item is taken.") from error


def _tombstone(link: Link, owner: str) -> Item:
    """Return what stands for an item that is not there."""
    return Item(
        id=link.id,
        owner=owner,
        thread_id=link.conversation_id or "",
        body="",
        create_time_us=0,
        seq=link.seq,
        parent_id=link.parent_id,
        conversation_id=link.conversation_id,
        deleted=True,
    )
