"""Measure what the terms of items cost: bytes on disk and time to write, with and without them, on both stores.

Run it with the environment's Python. Texts are made of Zipf-distributed words, 60 in each item; what is compared is
written alternately, batch by batch, so that a machine that is busy is as busy for both.
"""

import asyncio
import random
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[1]))

from rostra_history.documentdb_store import open_documentdb_store
from rostra_history.documentdb_store.documents import item_document
from rostra_history.domain import Item
from rostra_history.drafts import conversation_items
from rostra_history.settings import DatabaseSettings
from rostra_history.sqlite_store import open_sqlite_store
from rostra_history.sqlite_store.rows import insert_items
from rostra_history.thread import place
from support.mongodb_server import mongodb_server

_BATCHES = 400
_ITEMS = 20
_WORDS = 60
_VOCABULARY = 20_000

Write = Callable[[list[Item]], Awaitable[None]]
Size = Callable[[], Awaitable[int]]


def batch(rng: random.Random, number: int, *, with_terms: bool) -> list[Item]:
    """Return 20 items of one conversation."""
    weights = [1 / (rank + 1) for rank in range(_VOCABULARY)]
    words = rng.choices(range(_VOCABULARY), weights, k=_ITEMS * _WORDS)
    texts = [" ".join(f"w{word:x}rd" for word in words[n * _WORDS : (n + 1) * _WORDS]) for n in range(_ITEMS)]
    bodies = [{"role": "user", "content": text} for text in texts]
    items = conversation_items(bodies, owner="user_" + "a" * 32, conversation_id=f"conv_{number:032}", now_us=number)
    if not with_terms:
        items = [Item(**{name: getattr(item, name) for name in Item.__slots__ if name != "terms"}) for item in items]
    return place(items, first_seq=0, parent_id=None, conversation_id=f"conv_{number:032}")


async def compare(name: str, writes: dict[bool, Write], sizes: dict[bool, Size]) -> None:
    """Print the ratios of one store."""
    rng = random.Random(1)
    seconds = {True: 0.0, False: 0.0}
    before = {with_terms: await sizes[with_terms]() for with_terms in seconds}
    terms = 0
    for number in range(_BATCHES):
        for with_terms in seconds:
            items = batch(rng, number, with_terms=with_terms)
            terms += sum(len(item.terms) for item in items)
            started = time.perf_counter()
            await writes[with_terms](items)
            seconds[with_terms] += time.perf_counter() - started
    count = _BATCHES * _ITEMS
    grown = {with_terms: (await sizes[with_terms]() - before[with_terms]) / count for with_terms in seconds}
    sys.stdout.write(
        f"{name}: {terms / count:.0f} terms an item; "
        f"{grown[False]:,.0f} bytes an item without, {grown[True]:,.0f} with (x {grown[True] / grown[False]:.1f}); "
        f"20 items written in {seconds[False] / _BATCHES * 1000:.1f} ms without, "
        f"{seconds[True] / _BATCHES * 1000:.1f} ms with (x {seconds[True] / seconds[False]:.1f})\n"
    )


async def sqlite(folder: Path) -> None:
    """Compare two files."""
    paths = {with_terms: folder / f"{with_terms}.db" for with_terms in (True, False)}
    async with open_sqlite_store(paths[True]) as with_terms, open_sqlite_store(paths[False]) as without:
        stores = {True: with_terms, False: without}

        def write(terms: bool) -> Write:
            return lambda items: stores[terms]._database.write(lambda connection: insert_items(connection, items))

        async def size(terms: bool) -> int:
            rows = await stores[terms]._database.fetch(
                "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
            )
            return int(rows[0][0])

        both = (True, False)
        await compare("SQLite", {t: write(t) for t in both}, {t: lambda t=t: size(t) for t in both})


async def documentdb(url: str) -> None:
    """Compare two databases of one server."""
    settings = {t: DatabaseSettings(url=url, name=f"cost_{t}".lower()) for t in (True, False)}
    async with open_documentdb_store(settings[True]) as with_terms, open_documentdb_store(settings[False]) as without:
        stores = {True: with_terms, False: without}
        for store in stores.values():
            await store.ping()

        def write(terms: bool) -> Write:
            async def insert(items: list[Item]) -> None:
                await stores[terms]._database.items.insert_many([item_document(item) for item in items], ordered=False)

            return insert

        async def size(terms: bool) -> int:
            answer = await stores[terms]._database._database.command("collStats", "items")
            return int(answer["storageSize"]) + int(answer["totalIndexSize"])

        both = (True, False)
        await compare("MongoDB's wire", {t: write(t) for t in both}, {t: lambda t=t: size(t) for t in both})


async def main() -> None:
    """Measure both stores, one after the other."""
    with TemporaryDirectory() as folder:
        await sqlite(Path(folder))
    with mongodb_server() as url:
        await documentdb(url)


if __name__ == "__main__":
    asyncio.run(main())
