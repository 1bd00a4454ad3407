"""Reads a conversation's items along its branches.

A conversation that was never switched is one branch in order of rank, and is read straight by index. Of any other, the
links are loaded first, which are items without bodies, and then the bodies of what is wanted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from rostra_history.branches import Fork, forks
from rostra_history.domain import Conversation, Item, ItemView, Page, PageRequest
from rostra_history.errors import PageStartNotFound
from rostra_history.store import HistoryStore
from rostra_history.thread import Link, shown_parents, whole_path_to


class BranchReader:
    """Reads the items of conversations, each with the item that is shown before it as its parent.

    Args:
        store: Where they are kept.
    """

    def __init__(self, store: HistoryStore) -> None:
        self._store = store

    async def list_items(self, *, owner: str, conversation_id: str, view: ItemView, page: PageRequest) -> Page[Item]:
        """Return a page of the conversation's items, as they are when the call begins."""
        conversation = await self._store.conversations.get(owner=owner, conversation_id=conversation_id)
        if conversation.switch_count == 0:
            return await self._unbranched_page(conversation, page)
        links = await self._links(conversation)
        if view is ItemView.ALL_BRANCHES:
            items = await self._page_by_rank(conversation, page)
        else:
            items = await self._page_of_path(owner, whole_path_to(conversation.leaf_id, links), page)
        return Page(_with_parents(items.elements, shown_parents(links)), items.has_more)

    async def list_forks(self, *, owner: str, conversation_id: str) -> list[Fork]:
        """Return where the conversation's branches part."""
        conversation = await self._store.conversations.get(owner=owner, conversation_id=conversation_id)
        if conversation.switch_count == 0:
            return []
        return forks(await self._links(conversation), leaf_id=conversation.leaf_id)

    async def with_shown_parent(self, item: Item) -> Item:
        """Return an item of a conversation with the nearest item before it that is shown as its parent."""
        if item.parent_id is None or item.conversation_id is None or item.seq is None:
            return item
        if await self._store.items.get_many(owner=item.owner, item_ids=[item.parent_id]):
            return item
        links = await self._store.items.load_links(
            owner=item.owner, conversation_id=item.conversation_id, end_seq=item.seq + 1
        )
        return replace(item, parent_id=shown_parents(links).get(item.id))

    async def _links(self, conversation: Conversation) -> list[Link]:
        return await self._store.items.load_links(
            owner=conversation.owner, conversation_id=conversation.id, end_seq=conversation.next_seq
        )

    async def _page_by_rank(self, conversation: Conversation, page: PageRequest) -> Page[Item]:
        return await self._store.items.list_page(
            owner=conversation.owner, conversation_id=conversation.id, end_seq=conversation.next_seq, page=page
        )

    async def _unbranched_page(self, conversation: Conversation, page: PageRequest) -> Page[Item]:
        listed = await self._page_by_rank(conversation, page)
        if not listed.elements:
            return listed
        oldest_first = listed.elements[::-1] if page.descending else listed.elements
        first = await self.with_shown_parent(oldest_first[0])
        rest = [replace(item, parent_id=before.id) for before, item in pairwise(oldest_first)]
        elements = [first, *rest]
        return Page(elements[::-1] if page.descending else elements, listed.has_more)

    async def _page_of_path(self, owner: str, path: Sequence[Link], page: PageRequest) -> Page[Item]:
        ordered = path[::-1] if page.descending else path
        start = _index_after(page.after_id, ordered) if page.after_id is not None else 0
        shown_ids = [link.id for link in ordered[start:] if not link.deleted]
        # What was deleted since the links were loaded is left out.
        items = await self._store.items.get_many(owner=owner, item_ids=shown_ids[: page.limit])
        return Page(items, has_more=len(shown_ids) > page.limit)


def _with_parents(items: Sequence[Item], parents: Mapping[str, str | None]) -> list[Item]:
    return [replace(item, parent_id=parents.get(item.id)) for item in items]


def _index_after(item_id: str, path: Sequence[Link]) -> int:
    for index, link in enumerate(path, 1):
        if link.id == item_id:
            return index
    raise PageStartNotFound
