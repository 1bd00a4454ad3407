"""Stored chat completions in Amazon DocumentDB: one document for each, its messages in it, so each write is atomic."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from rostra_history.chat_completion_store import ChatCompletion, tags_of
from rostra_history.documentdb_store.database import Database, Document
from rostra_history.documentdb_store.documents import metadata_text
from rostra_history.documentdb_store.pages import unknown_start
from rostra_history.domain import Page, PageRequest
from rostra_history.errors import ChatCompletionNotFound
from rostra_kit.errors import AlreadyExistsError

_WITHOUT_MESSAGES = {"messages": 0, "tags": 0}


class DocumentdbChatCompletionStore:
    """A `ChatCompletionStore` on Amazon DocumentDB."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._completions = database.chat_completions

    async def create(self, completion: ChatCompletion, messages: Sequence[str]) -> None:
        """Store a completion with its messages."""

        async def create() -> None:
            try:
                await self._completions.insert_one(_document(completion, messages))
            except DuplicateKeyError as error:
                stored = await self._completions.find_one(_key(completion.owner, completion.id), {"body": 1})
                if stored is None or stored["body"] != completion.body:
                    raise AlreadyExistsError(f"The id '{completion.id}' is taken.") from error

        await self._database.write(create())

    async def get(self, *, owner: str, completion_id: str) -> ChatCompletion:
        """Return the completion."""
        found = self._completions.find_one(_key(owner, completion_id), _WITHOUT_MESSAGES)
        document = await self._database.read(found)
        if document is None:
            raise ChatCompletionNotFound(completion_id)
        return _to_completion(document)

    async def list_page(self, *, owner: str, page: PageRequest, tags: Sequence[str] = ()) -> Page[ChatCompletion]:
        """Return a page of the owner's completions that have all of `tags`."""
        query: dict[str, Any] = {"owner": owner}
        if tags:
            query["tags"] = {"$all": list(tags)}

        async def load() -> list[Document]:
            place: Document = {}
            if page.after_id is not None:
                start = await self._completions.find_one(_key(owner, page.after_id), {"create_time_us": 1})
                place = _beyond(start or unknown_start(), descending=page.descending)
            direction = -1 if page.descending else 1
            order = [("create_time_us", direction), ("_id", direction)]
            async with self._completions.find(
                query | place, _WITHOUT_MESSAGES, sort=order, limit=page.limit + 1
            ) as cursor:
                return await cursor.to_list()

        documents = await self._database.read(load())
        return Page.cut([_to_completion(document) for document in documents], page.limit)

    async def update(self, *, owner: str, completion_id: str, metadata: Mapping[str, str]) -> ChatCompletion:
        """Replace the metadata, and the tags with it."""

        async def update() -> Document | None:
            key = _key(owner, completion_id)
            stored = await self._completions.find_one(key, {"models": 1})
            if stored is None:
                return None
            # The models never change, so that of parallel updates each writes tags that fit its metadata.
            changes = {"metadata": metadata_text(metadata), "tags": tags_of(stored["models"], metadata)}
            return await self._completions.find_one_and_update(
                key, {"$set": changes}, projection=_WITHOUT_MESSAGES, return_document=ReturnDocument.AFTER
            )

        document = await self._database.write(update())
        if document is None:
            raise ChatCompletionNotFound(completion_id)
        return _to_completion(document)

    async def delete(self, *, owner: str, completion_id: str) -> None:
        """Delete the completion with its messages."""
        deleted = await self._database.write(self._completions.delete_one(_key(owner, completion_id)))
        if not deleted.deleted_count:
            raise ChatCompletionNotFound(completion_id)

    async def list_messages(self, *, owner: str, completion_id: str, first: int, limit: int) -> list[str]:
        """Return up to `limit` messages from the place `first` on."""
        slice_only = {"_id": 1, "messages": {"$slice": [first, limit]}}
        document = await self._database.read(self._completions.find_one(_key(owner, completion_id), slice_only))
        if document is None:
            raise ChatCompletionNotFound(completion_id)
        return list(document["messages"])


def _key(owner: str, completion_id: str) -> Document:
    # Providers number as they like: a name is one owner's only. No owner's name has a colon.
    return {"_id": f"{owner}:{completion_id}", "owner": owner}


def _beyond(start: Document, *, descending: bool) -> Document:
    """Return the filter for what follows `start` by age; the outer bound is the one that the index understands."""
    beyond, not_before = ("$lt", "$lte") if descending else ("$gt", "$gte")
    time_us = start["create_time_us"]
    return {
        "create_time_us": {not_before: time_us},
        "$or": [{"create_time_us": {beyond: time_us}}, {"_id": {beyond: start["_id"]}}],
    }


def _document(completion: ChatCompletion, messages: Sequence[str]) -> Document:
    return _key(completion.owner, completion.id) | {
        "id": completion.id,
        "models": list(completion.models),
        "metadata": metadata_text(completion.metadata),
        "body": completion.body,
        "message_count": completion.message_count,
        "create_time_us": completion.create_time_us,
        "tags": completion.tags,
        "messages": list(messages),
    }


def _to_completion(document: Document) -> ChatCompletion:
    return ChatCompletion(
        id=document["id"],
        owner=document["owner"],
        models=document["models"],
        metadata=json.loads(document["metadata"]),
        body=document["body"],
        message_count=document["message_count"],
        create_time_us=document["create_time_us"],
    )
