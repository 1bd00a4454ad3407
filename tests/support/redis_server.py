"""Start a Redis or Valkey of one's own."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redis import Redis, RedisError

from rostra_kit.ports import free_port
from support.server_process import find_server, running, temporary_folder, wait_until_ready

DATABASES = 256


@contextmanager
def redis_server() -> Iterator[str]:
    """Yield the URL of a new Redis server.

    Raises:
        ServerNotFoundError: There is no Redis here.
    """
    with _serving(find_server("redis-server", is_wanted=lambda version: "Valkey" not in version)) as url:
        yield url


@contextmanager
def valkey_server() -> Iterator[str]:
    """Yield the URL of a new Valkey server.

    Raises:
        ServerNotFoundError: There is no Valkey here.
    """
    with _serving(find_server("valkey-server", "redis-server", is_wanted=lambda version: "Valkey" in version)) as url:
        yield url


@contextmanager
def _serving(program: Path) -> Iterator[str]:
    port, password = free_port(), secrets.token_urlsafe(16)
    with temporary_folder() as folder:
        configuration, log = folder / "server.conf", folder / "log"
        configuration.write_text(
            f"bind 127.0.0.1\nport {port}\nrequirepass {password}\ndatabases {DATABASES}\n"
            f'dir {folder}\nsave ""\nappendonly no\n'
        )
        url = f"redis://:{password}@127.0.0.1:{port}/0"
        with running([program, configuration], log=log) as process, Redis.from_url(url) as client:
            wait_until_ready(process, client.ping, unless=RedisError, log=log)
            yield url
