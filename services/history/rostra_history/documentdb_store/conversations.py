"""Conversations in Amazon DocumentDB."""

from collections.abc import Sequence

from pymongo import ReturnDocument

from rostra_history.documentdb_store.database import Database, Document, existing, member
from rostra_history.documentdb_store.documents import (
    conversation_document,
    item_document,
    metadata_text,
    to_conversation,
    unfinished,
)
from rostra_history.documentdb_store.pages import begin_beyond, unknown_start
from rostra_history.documentdb_store.places import moved
from rostra_history.domain import Conversation, ConversationChanges, ConversationFilter, Item, Page, PageRequest
from rostra_history.errors import ConversationNotFound, ItemNotFound
from rostra_history.terms import terms_of

_WITHOUT_APPENDS = {"appends": 0, "terms": 0}
_ITEMS_PER_WRITE = 500


class DocumentdbConversationStore:
    """A `ConversationStore` on Amazon DocumentDB."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._conversations = database.conversations

    async def create(self, conversation: Conversation, items: Sequence[Item]) -> None:
        """Store a new conversation with its first items."""

        async def create() -> None:
            for start in range(0, len(items), _ITEMS_PER_WRITE):
                batch = [item_document(item) for item in items[start : start + _ITEMS_PER_WRITE]]
                await self._database.items.insert_many(batch)
            await self._conversations.insert_one(conversation_document(conversation))

        await self._database.write(create())

    async def get(self, *, owner: str, conversation_id: str) -> Conversation:
        """Return the conversation."""
        found = self._conversations.find_one(existing(owner, conversation_id), _WITHOUT_APPENDS)
        document = await self._database.read(found)
        if document is None:
            raise ConversationNotFound(conversation_id)
        return to_conversation(document)

    async def list_page(self, *, owner: str, wanted: ConversationFilter, page: PageRequest) -> Page[Conversation]:
        """Return a page of the owner's conversations."""
        time = wanted.order_by.value

        async def load() -> list[Document]:
            query = {"owner": owner, "archived": wanted.archived, "deleting": False} | _created(wanted)
            if page.after_id is not None:
                start = await self._conversations.find_one(existing(owner, page.after_id), {time: 1})
                begin_beyond(start or unknown_start(), query, time=time, descending=page.descending)
            direction = -1 if page.descending else 1
            order = [(time, direction), ("_id", direction)]
            async with self._conversations.find(query, _WITHOUT_APPENDS, sort=order, limit=page.limit + 1) as cursor:
                return await cursor.to_list()

        documents = await self._database.read(load())
        return Page.cut([to_conversation(document) for document in documents], page.limit)

    async def update(
        self, *, owner: str, conversation_id: str, changes: ConversationChanges, now_us: int
    ) -> Conversation:
        """Change what is given."""
        return await self._database.write(self._update(owner, conversation_id, changes, now_us))

    async def name(self, *, owner: str, conversation_id: str, title: str, now_us: int) -> None:
        """Give the conversation a title if it has none."""
        untitled = existing(owner, conversation_id) | {"title": ""}
        values = {"title": title, "terms": terms_of(title), "update_time_us": now_us}
        await self._database.write(self._conversations.update_one(untitled, {"$set": values}))

    async def delete(self, *, owner: str, conversation_id: str) -> None:
        """Delete the conversation with its thread."""
        await self._database.write(self._delete(owner, conversation_id))

    async def _update(
        self, owner: str, conversation_id: str, changes: ConversationChanges, now_us: int
    ) -> Conversation:
        conversation = existing(owner, conversation_id)
        document, values = None, _changed(changes) | {"update_time_us": now_us}
        if changes.active_item_id is not None:
            leaf_id = changes.active_item_id or None
            await self._check_member(owner, conversation_id, leaf_id)
            update = moved(leaf_id)
            update["$set"] |= values
            update["$inc"] = {"switch_count": 1}
            document = await self._find_and_update(conversation | {"leaf_id": {"$ne": leaf_id}}, update)
        # Where the item was active already, this is no switch.
        document = document or await self._find_and_update(conversation, {"$set": values})
        if document is None:
            raise ConversationNotFound(conversation_id)
        return to_conversation(document)

    async def _check_member(self, owner: str, conversation_id: str, item_id: str | None) -> None:
        if item_id is None or await self._database.items.find_one(member(owner, conversation_id, item_id), {"_id": 1}):
            return
        if await self._conversations.find_one(existing(owner, conversation_id), {"_id": 1}) is None:
            raise ConversationNotFound(conversation_id)
        raise ItemNotFound(item_id)

    async def _find_and_update(self, query: Document, update: Document) -> Document | None:
        return await self._conversations.find_one_and_update(
            query, update, projection=_WITHOUT_APPENDS, return_document=ReturnDocument.AFTER
        )

    async def _delete(self, owner: str, conversation_id: str) -> None:
        conversation = {"_id": conversation_id, "owner": owner}
        marked = await self._conversations.update_one(conversation, {"$set": {"deleting": True}})
        if not marked.matched_count:
            raise ConversationNotFound(conversation_id)
        await self._database.shares.delete_many({"owner": owner, "conversation_id": conversation_id})
        thread = {"owner": owner, "thread_id": conversation_id}
        async with self._database.responses.find(thread | unfinished(), {"_id": 1}) as cursor:
            running_ids = [document["_id"] async for document in cursor]
        await self._database.items.delete_many(thread | {"response_id": {"$nin": running_ids}})
        await self._database.responses.delete_many(thread | {"_id": {"$nin": running_ids}})
        await self._conversations.delete_one(conversation)


def _changed(changes: ConversationChanges) -> Document:
    """Return the fields that get new values; which item is active is not among them."""
    values: Document = {}
    if changes.metadata is not None:
        values["metadata"] = metadata_text(changes.metadata)
    if changes.title is not None:
        values |= {"title": changes.title, "terms": terms_of(changes.title)}
    if changes.archived is not None:
        values["archived"] = changes.archived
    return values


def _created(wanted: ConversationFilter) -> Document:
    """Return the filter for the times of creation that are wanted."""
    bounds = {"$gte": wanted.min_create_time_us, "$lt": wanted.max_create_time_us}
    given = {operator: time_us for operator, time_us in bounds.items() if time_us is not None}
    return {"create_time_us": given} if given else {}
