"""A history of one user's conversations, as large as it shall be, and what people do with it.

Conversations are numbered by age: each 20th has the word `obelisk`, of the first 100.
"""

import itertools
import json
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from prometheus_client import CollectorRegistry

from rostra_history.documentdb_store.documents import conversation_document, item_document
from rostra_history.domain import Conversation, ConversationFilter, ConversationTime, Item, Page, PageRequest
from rostra_history.metrics import HistoryMetrics
from rostra_history.search import Match
from rostra_history.search_service import SearchService
from rostra_history.service import HistoryService
from rostra_history.sqlite_store.rows import insert_items
from rostra_history.store import HistoryStore
from rostra_history.terms import terms_of
from rostra_history.thread import place

OWNER = "user_of_growth"
OPENED = 50
"""How many items the conversation has that is opened, which is the one in the middle."""

_WITH_RARE_WORD = range(0, 100, 20)
_BATCH = 500


@dataclass
class GrownHistory:
    """A store with so many conversations, and what is done with it."""

    store: HistoryStore
    count: int

    def __post_init__(self) -> None:
        """Put the services before the store."""
        self.service = HistoryService(
            store=self.store,
            metrics=HistoryMetrics(CollectorRegistry()),
            now_us=lambda: time.time_ns() // 1000,
            abandoned_after_us=3600 * 1_000_000,
        )
        self.search = SearchService(self.store.search)

    async def list(self, *, after: int | None = None) -> None:
        """Read a page of the conversations, by either time."""
        for time_of in ConversationTime:
            page = PageRequest(limit=20, after_id=None if after is None else conversation_id(after))
            wanted = ConversationFilter(order_by=time_of)
            listed = await self.service.list_conversations(owner=OWNER, wanted=wanted, page=page)
            assert len(listed.elements) == 20

    async def list_in_the_middle(self) -> None:
        """Read the page that begins with the conversation in the middle."""
        await self.list(after=self.count // 2)

    async def list_near_the_end(self) -> None:
        """Read one of the last pages."""
        await self.list(after=25)

    async def find(self, query: str, *, after: str | None = None) -> Page[Match]:
        """Search, and return the page that was found."""
        found = await self.search.search(owner=OWNER, query=query, page=PageRequest(limit=20, after_id=after))
        assert found.elements
        return found

    async def find_a_rare_word(self) -> None:
        """Search for what is in five conversations."""
        assert len((await self.find("obelisk")).elements) == len(_WITH_RARE_WORD)

    async def find_a_rare_word_with_common_ones(self) -> None:
        """Search for these five, also by words that are in every item."""
        assert len((await self.find("the obelisk stands")).elements) == len(_WITH_RARE_WORD)

    async def find_a_title(self) -> None:
        """Search for a word that is in all titles, and for one that is in one."""
        assert len((await self.find("title 7")).elements) == 1

    async def find_a_common_word(self) -> None:
        """Search for a word that is in every item."""
        assert (await self.find("stands")).has_more

    async def find_a_common_word_deep(self) -> None:
        """Read the page of such a search that begins in the middle."""
        assert (await self.find("stands", after=conversation_id(self.count // 2))).has_more

    async def open(self) -> None:
        """Read a conversation, a page of its items, and all that a turn would continue."""
        key = {"owner": OWNER, "conversation_id": conversation_id(self.count // 2)}
        await self.service.get_conversation(**key)
        page = await self.service.list_items(**key, page=PageRequest(limit=20))
        context = await self.service.load_context(**key, previous_response_id="", item_ids=[])
        assert (len(page.elements), len(context.items)) == (20, OPENED)

    async def refer(self) -> None:
        """Read items by their names."""
        item_ids = [f"msg_{self.count // 2:016}{index:016}" for index in range(3)]
        context = await self.service.load_context(
            owner=OWNER, conversation_id="", previous_response_id="", item_ids=item_ids
        )
        assert len(context.referenced) == 3


Work = Callable[[GrownHistory], Awaitable[None]]

EVERYWHERE: tuple[Work, ...] = (
    GrownHistory.list,
    GrownHistory.list_in_the_middle,
    GrownHistory.list_near_the_end,
    GrownHistory.find_a_rare_word,
    GrownHistory.open,
    GrownHistory.refer,
)
# The MongoDB-wire server of these tests takes no order from an index of arrays: it goes through all that a common word
# is in.
WHERE_TERMS_ARE_ORDERED: tuple[Work, ...] = (
    GrownHistory.find_a_rare_word_with_common_ones,
    GrownHistory.find_a_title,
    GrownHistory.find_a_common_word,
    GrownHistory.find_a_common_word_deep,
)


async def grown_sqlite(store: Any, count: int, *, items_each: int) -> GrownHistory:
    """Fill an empty SQLite store with so many conversations; but for the one that is opened, each has so many items."""
    await store._database._writer.run(lambda connection: connection.execute("PRAGMA synchronous = OFF"))
    for some in _batches(_conversations(count, items_each), _BATCH):
        for conversation, _ in some:
            await store.conversations.create(conversation, [])
        items = [item for _, items in some for item in items]
        await store._database.write(partial(insert_items, items=items))
    await store._database._writer.run(lambda connection: connection.execute("PRAGMA wal_checkpoint(TRUNCATE)"))
    return GrownHistory(store, count)


async def grown_documentdb(store: Any, count: int, *, items_each: int) -> GrownHistory:
    """Fill an empty DocumentDB store likewise."""
    await store.ping()
    for some in _batches(_conversations(count, items_each), _BATCH):
        items = [item_document(item) for _, items in some for item in items]
        await store._database.items.insert_many(items, ordered=False)
        documents = [conversation_document(conversation) for conversation, _ in some]
        await store._database.conversations.insert_many(documents, ordered=False)
    return GrownHistory(store, count)


def conversation_id(number: int) -> str:
    """Return a conversation's name."""
    return f"conv_{number:032}"


def _conversations(count: int, items_each: int) -> Iterator[tuple[Conversation, list[Item]]]:
    """Yield conversations with their items, oldest first."""
    for number in range(count):
        size = OPENED if number == count // 2 else items_each
        name, time_us = conversation_id(number), 1_800_000_000_000_000 + number * 1_000
        items = place(
            [_item(number, index, time_us + index) for index in range(size)],
            first_seq=0,
            parent_id=None,
            conversation_id=name,
        )
        yield (
            Conversation(
                id=name,
                owner=OWNER,
                metadata={},
                title=f"Title {number}",
                create_time_us=time_us,
                update_time_us=time_us,
                next_seq=len(items),
                leaf_id=items[-1].id,
            ),
            items,
        )


def _item(number: int, index: int, time_us: int) -> Item:
    body, terms = _body_and_terms(f"the {'obelisk' if number in _WITH_RARE_WORD and index == 1 else 'column'} stands")
    return Item(
        id=f"msg_{number:016}{index:016}",
        owner=OWNER,
        thread_id=conversation_id(number),
        body=body,
        create_time_us=time_us,
        terms=terms,
    )


@cache
def _body_and_terms(text: str) -> tuple[str, tuple[str, ...]]:
    body = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
    return json.dumps(body), terms_of(text)


def _batches(elements: Iterable[Any], size: int) -> Iterator[list[Any]]:
    iterator = iter(elements)
    while some := list(itertools.islice(iterator, size)):
        yield some
