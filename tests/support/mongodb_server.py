"""Start a server for the MongoDB wire of one's own: FerretDB, on a PostgreSQL with the DocumentDB extension.

As far as tried it does what MongoDB does, except change streams, which it refuses, and transactions: each write in one
takes effect at once, and the commit is refused. A duplicate key error has its code, 11000, but another text.
"""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from rostra_kit.ports import free_port
from support.server_process import (
    find_program,
    run_to_end,
    running,
    temporary_folder,
    wait_until_ready,
)

NOBODY = 65534


@contextmanager
def mongodb_server() -> Iterator[str]:
    """Yield the URL of a new server that speaks MongoDB's protocol.

    Raises:
        ServerNotFoundError: FerretDB, or the PostgreSQL below it, is not here.
    """
    program, initdb, postgres = find_program("ferretdb"), find_program("initdb"), find_program("postgres")
    port, password = free_port(), secrets.token_urlsafe(16)
    with temporary_folder() as folder, _postgres(initdb, postgres, folder / "postgres", password) as postgres_url:
        log = folder / "log"
        flags = ["--telemetry=disable", "--debug-addr=-", f"--state-dir={folder}", f"--listen-addr=127.0.0.1:{port}"]
        url = f"mongodb://rostra:{password}@127.0.0.1:{port}/"
        client: MongoClient[dict[str, Any]] = MongoClient(url, serverSelectionTimeoutMS=1000)
        with running([program, f"--postgresql-url={postgres_url}", *flags], log=log) as process, client:
            wait_until_ready(process, lambda: client.admin.command("ping"), unless=PyMongoError, log=log)
            yield url


@contextmanager
def _postgres(initdb: Path, postgres: Path, home: Path, password: str) -> Iterator[str]:
    home.mkdir()
    data, log = home / "data", home.parent / "postgres.log"
    user = _unprivileged(home)
    run_to_end([*user, initdb, f"--pgdata={data}", "--username=postgres", "--auth=trust", *_LOCALE, "--no-sync"])
    with (data / "postgresql.conf").open("a") as configuration:
        configuration.write(_configuration(home))
    extensions = "CREATE EXTENSION documentdb CASCADE\nCREATE EXTENSION documentdb_extended_rum\n"
    setup = f"{extensions}CREATE ROLE rostra SUPERUSER LOGIN PASSWORD '{password}'\n"
    run_to_end([*user, postgres, "--single", "-D", data, "postgres"], stdin=setup)
    with running([*user, postgres, "-D", data], log=log):
        yield f"postgres://postgres@/postgres?host={home}"


# The C locale is there on every machine, and PostgreSQL's other default, the caller's, may not be.
_LOCALE = ["--no-locale", "--encoding=UTF8"]


def _configuration(home: Path) -> str:
    # DocumentDB connects back to its own server, and like all others finds it by its socket alone. Cursors must outlive
    # one connection because FerretDB's next page may come through another. The older kind of index has no order, and
    # the planner knows nothing of new collections: without four of these settings a page would be made by sorting all
    # that matches.
    return f"""
listen_addresses = ''
unix_socket_directories = '{home}'
documentdb.localhost_connection_string = 'host={home}'
shared_preload_libraries = 'pg_cron,pg_documentdb_core,pg_documentdb,pg_documentdb_extended_rum'
cron.database_name = 'postgres'
documentdb.useFileBasedPersistedCursors = on
documentdb.alternate_index_handler_name = 'extended_rum'
documentdb.defaultUseCompositeOpClass = on
enable_sort = off
enable_seqscan = off
max_connections = 200
fsync = off
"""


def _unprivileged(home: Path) -> list[str]:
    """Return the command prefix that PostgreSQL needs, which refuses to run as root, and give `home` to that user.

    The one capability it keeps lets it read its own program where root's home is closed to others; the secure bit lets
    access(2), by which PostgreSQL looks, see that.
    """
    if os.geteuid() != 0:
        return []
    home.parent.chmod(0o711)
    shutil.chown(home, NOBODY, NOBODY)
    capability = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override", "--securebits=+no_setuid_fixup"]
    return [
        "setpriv",
        "--pdeathsig=TERM",
        f"--reuid={NOBODY}",
        f"--regid={NOBODY}",
        "--clear-groups",
        *capability,
        "--",
    ]
