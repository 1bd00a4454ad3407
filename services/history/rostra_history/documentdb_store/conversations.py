"""Conversations in Amazon DocumentDB."""

from collections.abc import Mapping, Sequence
from typing import Any

from pymongo import ReturnDocument

from rostra_history.documentdb_store.database import Database, Document, existing
from rostra_history.documentdb_store.documents import (
    conversation_document,
    item_document,
    metadata_text,
    to_conversation,
    unfinished,
)
from rostra_history.documentdb_store.pages import unknown_start
from rostra_history.domain import Conversation, Item, Page, PageRequest
from rostra_history.errors import ConversationNotFound

_WITHOUT_APPENDS = {"appends": 0}


class DocumentdbConversationStore:
    """A `ConversationStore` on Amazon DocumentDB."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._conversations = database.conversations

    async def create(self, conversation: Conversation, items: Sequence[Item]) -> None:
        """Store a new conversation with its first items."""

        async def create() -> None:
            if items:
                await self._database.items.insert_many([item_document(item) for item in items])
            await self._conversations.insert_one(conversation_document(conversation))

        await self._database.write(create())

    async def get(self, *, owner: str, conversation_id: str) -> Conversation:
        """Return the conversation."""
        found = self._conversations.find_one(existing(owner, conversation_id), _WITHOUT_APPENDS)
        document = await self._database.read(found)
        if document is None:
            raise ConversationNotFound(conversation_id)
        return to_conversation(document)

    async def list_page(self, *, owner: str, page: PageRequest) -> Page[Conversation]:
        """Return a page of the owner's conversations."""

        async def load() -> list[Document]:
            query: dict[str, Any] = {"owner": owner, "deleting": False}
            if page.after_id is not None:
                start = await self._conversations.find_one(existing(owner, page.after_id), {"create_time_us": 1})
                query |= _beyond(start or unknown_start(), descending=page.descending)
            direction = -1 if page.descending else 1
            order = [("create_time_us", direction), ("_id", direction)]
            async with self._conversations.find(query, _WITHOUT_APPENDS, sort=order, limit=page.limit + 1) as cursor:
                return await cursor.to_list()

        documents = await self._database.read(load())
        return Page.cut([to_conversation(document) for document in documents], page.limit)

    async def update(
        self, *, owner: str, conversation_id: str, metadata: Mapping[str, str] | None, title: str | None, now_us: int
    ) -> Conversation:
        """Replace the metadata and the title, each unless it is `None`."""
        changes: Document = {"update_time_us": now_us}
        if metadata is not None:
            changes["metadata"] = metadata_text(metadata)
        if title is not None:
            changes["title"] = title
        update = self._conversations.find_one_and_update(
            existing(owner, conversation_id),
            {"$set": changes},
            projection=_WITHOUT_APPENDS,
            return_document=ReturnDocument.AFTER,
        )
        document = await self._database.write(update)
        if document is None:
            raise ConversationNotFound(conversation_id)
        return to_conversation(document)

    async def delete(self, *, owner: str, conversation_id: str) -> None:
        """Delete the conversation with its thread."""
        await self._database.write(self._delete(owner, conversation_id))

    async def _delete(self, owner: str, conversation_id: str) -> None:
        conversation = {"_id": conversation_id, "owner": owner}
        marked = await self._conversations.update_one(conversation, {"$set": {"deleting": True}})
        if not marked.matched_count:
            raise ConversationNotFound(conversation_id)
        thread = {"owner": owner, "thread_id": conversation_id}
        async with self._database.responses.find(thread | unfinished(), {"_id": 1}) as cursor:
            running_ids = [document["_id"] async for document in cursor]
        await self._database.items.delete_many(thread | {"response_id": {"$nin": running_ids}})
        await self._database.responses.delete_many(thread | {"_id": {"$nin": running_ids}})
        await self._conversations.delete_one(conversation)


def _beyond(start: Document, *, descending: bool) -> dict[str, Any]:
    """Return the filter for what follows `start` by age; the outer bound is the one that the index understands."""
    beyond, not_before = ("$lt", "$lte") if descending else ("$gt", "$gte")
    time_us = start["create_time_us"]
    return {
        "create_time_us": {not_before: time_us},
        "$or": [{"create_time_us": {beyond: time_us}}, {"_id": {beyond: start["_id"]}}],
    }
