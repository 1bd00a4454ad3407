"""Pages of items by a number that ranks them."""

from typing import Any, NoReturn

from pymongo.asynchronous.collection import AsyncCollection

from rostra_history.documentdb_store.database import Document
from rostra_history.documentdb_store.documents import to_item
from rostra_history.domain import Item, Page, PageRequest
from rostra_kit.errors import InvalidArgumentError


async def item_page(items: AsyncCollection[Document], query: Document, *, rank: str, page: PageRequest) -> Page[Item]:
    """Return a page of the items that match `query`, without tombstones, ordered by the field `rank`."""
    beyond: dict[str, Any] = {"$gte": 0}  # an item that has no rank yet is not in the list
    if page.after_id is not None:
        start = await items.find_one(query | {"_id": page.after_id}, {rank: 1}) or unknown_start()
        beyond["$lt" if page.descending else "$gt"] = start[rank]
    shown = query | {"deleted": False, rank: beyond}
    order = [(rank, -1 if page.descending else 1)]
    async with items.find(shown, sort=order, limit=page.limit + 1) as cursor:
        return Page.cut([to_item(document) async for document in cursor], page.limit)


def unknown_start() -> NoReturn:
    """Raise the error for an `after` that names no element of the list."""
    raise InvalidArgumentError("No element of this list has the id given as 'after'.", param="after")
