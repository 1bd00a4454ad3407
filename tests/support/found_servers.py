"""The real servers that are here, each started on its own, with a database that nobody else uses."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager

from support.mongodb_server import mongodb_server
from support.redis_server import redis_server, valkey_server
from support.server_database import fresh_database
from support.server_process import ServerNotFoundError
from support.sql_server import mysql_server

_STARTS: dict[str, Callable[[], AbstractContextManager[str]]] = {
    "MySQL": mysql_server,
    "DocumentDB": mongodb_server,
    "Redis": redis_server,
    "Valkey": valkey_server,
}


@contextmanager
def found_servers(*names: str) -> Iterator[dict[str, str]]:
    """Start those of the named servers that are here, side by side, and yield the URL of a database on each."""
    # The threads outlive the servers, which the kernel ends with the thread that started them.
    with ThreadPoolExecutor(len(names)) as threads, ExitStack() as exits:
        starts = {name: threads.submit(_start, _STARTS[name]) for name in names}
        urls = {}
        for name, starting in starts.items():
            if (server := starting.result()) is not None:
                running, urls[name] = server
                exits.push(running)
        yield {name: exits.enter_context(fresh_database(url)) for name, url in urls.items()}


def _start(start: Callable[[], AbstractContextManager[str]]) -> tuple[ExitStack, str] | None:
    with ExitStack() as exits:
        try:
            url = exits.enter_context(start())
        except ServerNotFoundError:
            return None
        return exits.pop_all(), url
    return None
