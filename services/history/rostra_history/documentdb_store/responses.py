"""Responses in Amazon DocumentDB; how they end is told in `rostra_history.documentdb_store.ending`."""

from collections.abc import Sequence

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from rostra_history.documentdb_store.database import Database, Document, existing
from rostra_history.documentdb_store.documents import (
    END_OF_RUN,
    LINK_FIELDS,
    WITHOUT_RUN,
    WITHOUT_TERMS,
    response_document,
    to_item,
    to_link,
    to_response,
)
from rostra_history.documentdb_store.ending import finish
from rostra_history.documentdb_store.items import insert_items
from rostra_history.documentdb_store.pages import begin_beyond, item_page, unknown_start
from rostra_history.domain import Item, ItemKind, Page, PageRequest, Response, ResponseStatus
from rostra_history.errors import ResponseNotFound
from rostra_history.leases import Job
from rostra_history.thread import unneeded
from rostra_kit.errors import AlreadyExistsError

_AGE = "create_time_us"


class DocumentdbResponseStore:
    """A `ResponseStore` on Amazon DocumentDB."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._responses = database.responses
        self._items = database.items

    async def create(
        self, response: Response, items: Sequence[Item], *, claim_time_us: int, job: Job | None = None
    ) -> None:
        """Store a response that is queued or in progress, with its input."""
        document = response_document(response, claim_time_us=claim_time_us, job=job)

        async def create() -> None:
            if await self._is_there(response):
                return
            await insert_items(self._database, items)
            try:
                await self._responses.insert_one(document)
            except DuplicateKeyError as error:
                if not await self._is_there(response):
                    raise AlreadyExistsError(f"The id '{response.id}' is taken.") from error

        await self._database.write(create())

    async def get(self, *, owner: str, response_id: str) -> Response:
        """Return the response."""
        document = await self._database.read(self._responses.find_one(existing(owner, response_id), WITHOUT_RUN))
        if document is None:
            raise ResponseNotFound(response_id)
        return to_response(document)

    async def list_page(self, *, owner: str, page: PageRequest) -> Page[Response]:
        """Return a page of the owner's responses."""

        async def load() -> list[Document]:
            query: Document = {"owner": owner, "deleting": False}
            if page.after_id is not None:
                start = await self._responses.find_one(existing(owner, page.after_id), {_AGE: 1})
                begin_beyond(start or unknown_start(), query, time=_AGE, descending=page.descending)
            direction = -1 if page.descending else 1
            order = [(_AGE, direction), ("_id", direction)]
            async with self._responses.find(query, WITHOUT_RUN, sort=order, limit=page.limit + 1) as cursor:
                return await cursor.to_list()

        documents = await self._database.read(load())
        return Page.cut([to_response(document) for document in documents], page.limit)

    async def list_output(self, *, owner: str, response_id: str) -> list[Item]:
        """Return the output of a response that has ended."""

        async def load() -> list[Item]:
            response = await self._responses.find_one(existing(owner, response_id), {"status": 1, "output_ids": 1})
            if response is None or not ResponseStatus(response["status"]).is_final:
                return []
            output = {"_id": {"$in": response["output_ids"]}, "owner": owner, "deleted": False}
            async with self._items.find(output, WITHOUT_TERMS, sort=[("position", 1)]) as cursor:
                return [to_item(document) async for document in cursor]

        return await self._database.read(load())

    async def list_input_page(self, *, owner: str, response_id: str, page: PageRequest) -> Page[Item]:
        """Return a page of the response's input."""
        given = {"owner": owner, "response_id": response_id, "kind": ItemKind.INPUT.value}
        return await self._database.read(item_page(self._items, given, rank="position", page=page))

    async def finish(self, response: Response, output: Sequence[Item], *, now_us: int) -> None:
        """End the stored response."""
        await self._database.write(finish(self._database, response, output, now_us=now_us))

    async def delete(self, *, owner: str, response_id: str) -> None:
        """Delete the response, and the items that nobody needs any more."""
        await self._database.write(self._delete(owner, response_id))

    async def _is_there(self, response: Response) -> bool:
        key = {"_id": response.id, "owner": response.owner}
        return await self._responses.find_one(key, {"_id": 1}) is not None

    async def _delete(self, owner: str, response_id: str) -> None:
        key = {"_id": response_id, "owner": owner}
        document = await self._responses.find_one_and_update(
            key,
            {"$set": {"deleting": True}, "$unset": END_OF_RUN},
            return_document=ReturnDocument.AFTER,
        )
        if document is None:
            raise ResponseNotFound(response_id)
        doomed = await self._unneeded(to_response(document))
        await self._items.delete_many({"_id": {"$in": list(doomed)}, "owner": owner})
        await self._responses.delete_one(key)

    async def _unneeded(self, deleted: Response) -> set[str]:
        thread: Document = {"owner": deleted.owner, "thread_id": deleted.thread_id}
        async with self._items.find(thread, LINK_FIELDS) as cursor:
            links = [to_link(item) async for item in cursor]
        async with self._responses.find(thread | {"deleting": False}, {"leaf_id": 1}) as cursor:
            leaves = {response["_id"]: response["leaf_id"] async for response in cursor}
        conversation = await self._database.conversations.find_one(
            existing(deleted.owner, deleted.thread_id), {"_id": 1}
        )
        return unneeded(links, deleted=deleted, leaf_ids_by_response=leaves, keep_members=conversation is not None)
