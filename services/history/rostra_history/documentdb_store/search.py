"""Finding items and titles in Amazon DocumentDB, through an index with an entry for each term of a document.

Its text search knows English alone and no owners, so the terms are a field of our own.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from pymongo.asynchronous.collection import AsyncCollection

from rostra_history.documentdb_store.database import Database, Document
from rostra_history.documentdb_store.documents import WITHOUT_TERMS, to_conversation, to_item
from rostra_history.documentdb_store.pages import unknown_start
from rostra_history.search import Found, Hit, Rank

NEWEST_FIRST = [("create_time_us", -1), ("_id", -1)]
_RANK_ONLY = {"create_time_us": 1}
_ITEM_HIT = {"create_time_us": 1, "conversation_id": 1}


class DocumentdbSearchStore:
    """A `SearchStore` on Amazon DocumentDB."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._items = database.items
        self._conversations = database.conversations

    async def count(self, *, owner: str, term: str, at_most: int) -> int:
        """Return how often the owner's items and titles have the term."""
        query = {"owner": owner, "terms": term}
        counts = [collection.count_documents(query, limit=at_most) for collection in (self._items, self._conversations)]
        return sum(await self._database.read(_all(*counts)))

    async def find(self, *, owner: str, terms: Sequence[str], before: Rank | None, limit: int) -> list[Hit]:
        """Return what has all the terms, newest first."""
        items = _newest(self._items, item_query(owner, terms, before), _ITEM_HIT, limit)
        titles = _newest(self._conversations, title_query(owner, terms, before), _RANK_ONLY, limit)
        hits = [
            _hit(document) for documents in await self._database.read(_all(items, titles)) for document in documents
        ]
        return sorted(hits, key=lambda hit: hit.rank, reverse=True)[:limit]

    async def found_since(
        self, *, owner: str, terms: Sequence[str], since: Rank, conversation_ids: Sequence[str]
    ) -> set[str]:
        """Return which of the conversations have a hit of rank `since` or above."""
        at_or_above = _beyond(since, "$gt", "$gte", or_equal=True)
        names = {"$in": list(conversation_ids)}
        items = item_query(owner, terms, None) | {"conversation_id": names} | at_or_above
        titles = title_query(owner, terms, None) | {"_id": names} | at_or_above

        async def names_of(collection: AsyncCollection[Document], query: Document) -> list[str]:
            async with collection.find(query, _ITEM_HIT) as cursor:
                return [_hit(document).conversation_id async for document in cursor]

        found = await self._database.read(_all(names_of(self._items, items), names_of(self._conversations, titles)))
        return {name for names in found for name in names}

    async def load(self, *, owner: str, hits: Sequence[Hit]) -> list[Found]:
        """Return the conversations and the items of the hits."""
        named = {"_id": {"$in": [hit.conversation_id for hit in hits]}, "owner": owner, "deleting": False}
        members = {"_id": {"$in": [hit.rank.id for hit in hits]}, "owner": owner, "deleted": False}
        members |= {"conversation_id": {"$gt": ""}}

        async def documents_of(collection: AsyncCollection[Document], query: Document) -> list[Document]:
            async with collection.find(query, WITHOUT_TERMS) as cursor:
                return await cursor.to_list()

        conversations, items = await self._database.read(
            _all(documents_of(self._conversations, named), documents_of(self._items, members))
        )
        return Found.of(
            hits,
            conversations={document["_id"]: to_conversation(document) for document in conversations},
            items={document["_id"]: to_item(document) for document in items},
        )

    async def rank_of(self, *, owner: str, hit_id: str) -> Rank:
        """Return the rank of an item or of a title."""
        member = {"_id": hit_id, "owner": owner, "conversation_id": {"$gt": ""}}
        title = {"_id": hit_id, "owner": owner, "deleting": False}
        found = await self._database.read(
            _all(self._items.find_one(member, _RANK_ONLY), self._conversations.find_one(title, _RANK_ONLY))
        )
        document = found[0] or found[1] or unknown_start()
        return Rank(document["create_time_us"], document["_id"])


def item_query(owner: str, terms: Sequence[str], before: Rank | None) -> Document:
    """Return the filter for members of conversations that have the terms; the index looks for the first of them."""
    members: Document = {"owner": owner, "terms": {"$all": list(terms)}, "conversation_id": {"$gt": ""}}
    return members | (_beyond(before, "$lt", "$lte") if before else {})


def title_query(owner: str, terms: Sequence[str], before: Rank | None) -> Document:
    """Return the filter for conversations whose title has the terms."""
    titles: Document = {"owner": owner, "terms": {"$all": list(terms)}, "deleting": False}
    return titles | (_beyond(before, "$lt", "$lte") if before else {})


def _beyond(rank: Rank, beyond: str, not_before: str, *, or_equal: bool = False) -> Document:
    """Return the filter for one side of a rank; the outer bound is the one that the index understands."""
    return {
        "create_time_us": {not_before: rank.create_time_us},
        "$or": [
            {"create_time_us": {beyond: rank.create_time_us}},
            {"_id": {not_before if or_equal else beyond: rank.id}},
        ],
    }


async def _newest(
    collection: AsyncCollection[Document], query: Document, projection: Document, limit: int
) -> list[Document]:
    async with collection.find(query, projection, sort=NEWEST_FIRST, limit=limit) as cursor:
        return await cursor.to_list()


async def _all(*operations: Any) -> list[Any]:
    return await asyncio.gather(*operations)


def _hit(document: Document) -> Hit:
    name: str = document["_id"]
    return Hit(Rank(document["create_time_us"], name), document.get("conversation_id") or name)
