"""Print how long people wait as a history grows to a million items, on both stores.

One user has all of it, in conversations of 50 items. DocumentDB is FerretDB here, which takes no order from an index of
arrays: what it would have to sort for common words is left out. Medians of some calls, one caller.
"""

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[1]))

from rostra_history.documentdb_store import open_documentdb_store
from rostra_history.settings import DatabaseSettings
from rostra_history.sqlite_store import open_sqlite_store
from support.grown_history import (
    EVERYWHERE,
    OPENED,
    WHERE_TERMS_ARE_ORDERED,
    GrownHistory,
    Work,
    grown_documentdb,
    grown_sqlite,
)
from support.mongodb_server import mongodb_server
from support.server_database import fresh_database

SIZES = (5_000, 50_000, 500_000, 1_000_000)
CALLS = 31


async def median_ms(grown: GrownHistory, work: Work) -> float:
    """Return how long the work takes."""
    seconds = []
    for _ in range(CALLS):
        began = time.perf_counter()
        await work(grown)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds) * 1000


async def show(store: str, grown: GrownHistory, works: Sequence[Work], filled_seconds: float, size_bytes: int) -> None:
    """Print a line for each work."""
    items = grown.count * OPENED
    sys.stdout.write(f"{store}, {items:,} items, {size_bytes / items:,.0f} bytes each, in {filled_seconds:.0f} s\n")
    for work in works:
        sys.stdout.write(f"    {work.__name__:36} {await median_ms(grown, work):8.2f} ms\n")
    sys.stdout.flush()


async def sqlite(items: int) -> None:
    """Measure a file."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "history.db"
        async with open_sqlite_store(path) as store:
            began = time.monotonic()
            grown = await grown_sqlite(store, items // OPENED, items_each=OPENED)
            seconds = time.monotonic() - began
            await show("SQLite", grown, (*EVERYWHERE, *WHERE_TERMS_ARE_ORDERED), seconds, path.stat().st_size)


async def documentdb(items: int, server: str) -> None:
    """Measure a database of a server."""
    with fresh_database(server) as url:
        async with open_documentdb_store(DatabaseSettings(url=url)) as store:
            began = time.monotonic()
            grown = await grown_documentdb(store, items // OPENED, items_each=OPENED)
            seconds = time.monotonic() - began
            told = await store._database._database.command("collStats", "items")
            size = int(told["storageSize"]) + int(told["totalIndexSize"])
            await show("MongoDB's wire", grown, EVERYWHERE, seconds, size)


async def main(sizes: Sequence[int], *, most_documents: int) -> None:
    """Measure both stores at each size."""
    for items in sizes:
        await sqlite(items)
    with mongodb_server() as server:
        for items in sizes:
            if items <= most_documents:
                await documentdb(items, server)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="items (default: %(default)s)")
    parser.add_argument("--most-documents", type=int, default=500_000, help="most items of the MongoDB-wire server")
    arguments = parser.parse_args()
    asyncio.run(main(arguments.sizes, most_documents=arguments.most_documents))
