"""Shares in Amazon DocumentDB."""

from typing import Any

from rostra_history.documentdb_store.database import Database, Document, existing
from rostra_history.documentdb_store.documents import share_document, to_share
from rostra_history.documentdb_store.pages import begin_beyond, unknown_start
from rostra_history.domain import Page, PageRequest
from rostra_history.errors import ConversationNotFound, ShareNotFound
from rostra_history.share import Share


class DocumentdbShareStore:
    """A `ShareStore` on Amazon DocumentDB."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._shares = database.shares

    async def create(self, share: Share) -> None:
        """Store a new share."""
        await self._database.write(self._create(share))

    async def get(self, *, owner: str, share_id: str) -> Share:
        """Return the share."""
        return await self._one({"_id": share_id, "owner": owner})

    async def find(self, *, share_id: str) -> Share:
        """Return the share, whoever owns it."""
        return await self._one({"_id": share_id})

    async def list_page(self, *, owner: str, conversation_id: str | None, page: PageRequest) -> Page[Share]:
        """Return a page of the owner's shares."""
        query: dict[str, Any] = {"owner": owner}
        if conversation_id is not None:
            query["conversation_id"] = conversation_id

        async def load() -> list[Document]:
            if page.after_id is not None:
                start = await self._shares.find_one(query | {"_id": page.after_id}, {"create_time_us": 1})
                begin_beyond(start or unknown_start(), query, time="create_time_us", descending=page.descending)
            direction = -1 if page.descending else 1
            order = [("create_time_us", direction), ("_id", direction)]
            async with self._shares.find(query, sort=order, limit=page.limit + 1) as cursor:
                return await cursor.to_list()

        documents = await self._database.read(load())
        return Page.cut([to_share(document) for document in documents], page.limit)

    async def delete(self, *, owner: str, share_id: str) -> None:
        """Delete the share."""
        outcome = await self._database.write(self._shares.delete_one({"_id": share_id, "owner": owner}))
        if not outcome.deleted_count:
            raise ShareNotFound(share_id)

    async def _one(self, query: Document) -> Share:
        document = await self._database.read(self._shares.find_one(query))
        if document is None:
            raise ShareNotFound(query["_id"])
        return to_share(document)

    async def _create(self, share: Share) -> None:
        await self._shares.insert_one(share_document(share))
        conversation = existing(share.owner, share.conversation_id)
        if await self._database.conversations.find_one(conversation, {"_id": 1}) is None:
            # It was deleted in between, perhaps before this share was there to be deleted with it.
            await self._shares.delete_one({"_id": share.id, "owner": share.owner})
            raise ConversationNotFound(share.conversation_id)
