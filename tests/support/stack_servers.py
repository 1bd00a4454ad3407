"""The real servers that a stack can stand on in place of what is embedded."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from support.mongodb_server import mongodb_server
from support.redis_server import redis_server, valkey_server
from support.servers import fresh_database, server_url
from support.sql_server import mariadb_server, mysql_server

CHOSEN = tuple(os.environ.get("ROSTRA_TEST_STACK", "").split())
"""On which of them the tests' shared stack stands: `ROSTRA_TEST_STACK="MySQL MongoDB Redis"`, say."""

_USER_DATABASE, _HISTORY_DATABASE = "ROSTRA_USER_DATABASE__URL", "ROSTRA_HISTORY_DATABASE__URL"
_REDIS = tuple(f"ROSTRA_{service}_REDIS__URL" for service in ("GATEWAY", "CHAT", "USER"))
_SERVERS = {
    "MySQL": (mysql_server, [_USER_DATABASE]),
    "MariaDB": (mariadb_server, [_USER_DATABASE]),
    "MongoDB": (mongodb_server, [_HISTORY_DATABASE]),
    "Redis": (redis_server, _REDIS),
    "Valkey": (valkey_server, _REDIS),
}


@contextmanager
def settings_on(products: Sequence[str]) -> Iterator[dict[str, str]]:
    """Yield the settings of a stack that keeps what it has on these servers, in new databases.

    The test is skipped where one of them is not here.
    """
    settings = {"ROSTRA_USER_DATABASE__MIGRATE_ON_START": "true"} if products else {}
    with ExitStack() as exits:
        for product in products:
            start, names = _SERVERS[product]
            server = exits.enter_context(server_url(product, start))
            settings |= dict.fromkeys(names, exits.enter_context(fresh_database(server)))
        yield settings
