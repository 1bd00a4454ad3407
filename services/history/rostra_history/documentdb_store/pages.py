"""Pages of items by a number that ranks them, and of other things by age."""

from typing import Any, NoReturn

from pymongo.asynchronous.collection import AsyncCollection

from rostra_history.documentdb_store.database import Document
from rostra_history.documentdb_store.documents import WITHOUT_TERMS, to_item
from rostra_history.domain import Item, Page, PageRequest
from rostra_history.errors import PageStartNotFound

LAST_RANK = 2**63 - 1


async def item_page(
    items: AsyncCollection[Document], query: Document, *, rank: str, page: PageRequest, end: int = LAST_RANK
) -> Page[Item]:
    """Return a page of the items that match `query`, without tombstones, ordered by the field `rank`, below `end`."""
    beyond: dict[str, Any] = {"$gte": 0, "$lt": end}  # an item that has no rank yet is not in the list
    if page.after_id is not None:
        start = await items.find_one(query | {"_id": page.after_id}, {rank: 1}) or unknown_start()
        if page.descending:
            beyond["$lt"] = min(end, start[rank])
        else:
            beyond["$gt"] = start[rank]
    shown = query | {"deleted": False, rank: beyond}
    order = [(rank, -1 if page.descending else 1)]
    async with items.find(shown, WITHOUT_TERMS, sort=order, limit=page.limit + 1) as cursor:
        return Page.cut([to_item(document) async for document in cursor], page.limit)


def begin_beyond(start: Document, query: Document, *, time: str, descending: bool) -> None:
    """Narrow `query` to what follows `start` by `time`; the outer bound is the one that the index understands."""
    beyond, not_before = ("$lt", "$lte") if descending else ("$gt", "$gte")
    bounds = query.setdefault(time, {})
    bounds[not_before] = max(bounds.get(not_before, 0), start[time])
    query["$or"] = [{time: {beyond: start[time]}}, {"_id": {beyond: start["_id"]}}]


def unknown_start() -> NoReturn:
    """Raise the error for an `after` that names no element of the list."""
    raise PageStartNotFound
