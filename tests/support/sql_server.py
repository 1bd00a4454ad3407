"""Start a MySQL or MariaDB of one's own; both speak one protocol and differ in how a data folder is made."""

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import NullPool, create_engine, make_url
from sqlalchemy.exc import OperationalError

from rostra_kit.ports import free_port
from support.server_process import (
    find_program,
    find_server,
    run_to_end,
    running,
    temporary_folder,
    wait_until_ready,
)

# Durability is what these flags give up, and no test pulls the plug. MySQL's own foreign keys are switched on because
# without them it accepts orphans where an index has a NULL; "loose" lets the other product and older versions pass.
SERVER_FLAGS = [
    "--bind-address=127.0.0.1",
    "--character-set-server=utf8mb4",
    "--skip-name-resolve",
    "--skip-log-bin",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-buffer-pool-size=64M",
    "--loose-innodb-native-foreign-keys=ON",
    "--loose-performance-schema=OFF",
    "--loose-mysqlx=OFF",
    "--secure-file-priv=",
]


@contextmanager
def mysql_server(*flags: str) -> Iterator[str]:
    """Yield the URL of a new MySQL server, started with these flags besides the usual ones.

    Raises:
        ServerNotFoundError: There is no MySQL here.
    """
    program = find_server("mysqld", is_wanted=lambda version: "MariaDB" not in version)
    with temporary_folder() as folder:
        run_to_end([program, "--no-defaults", *_as_root(), *_folders(folder), "--initialize-insecure"])
        with _serving(program, folder, flags) as url:
            yield url


@contextmanager
def mariadb_server(*flags: str) -> Iterator[str]:
    """Yield the URL of a new MariaDB server, started with these flags besides the usual ones.

    Raises:
        ServerNotFoundError: There is no MariaDB here.
    """
    program = find_server("mariadbd", "mysqld", is_wanted=lambda version: "MariaDB" in version)
    installer = find_program("mariadb-install-db", "mysql_install_db")
    with temporary_folder() as folder:
        options = ["--auth-root-authentication-method=normal", "--skip-test-db"]
        run_to_end([installer, "--no-defaults", *_as_root(), *_folders(folder), *options])
        with _serving(program, folder, flags) as url:
            yield url


@contextmanager
def _serving(program: Path, folder: Path, flags: Sequence[str]) -> Iterator[str]:
    port, password = free_port(), secrets.token_urlsafe(16)
    # root may only come through the socket, so the server itself creates the user of the tests as it starts.
    users = folder / "users.sql"
    users.write_text(f"CREATE USER 'rostra'@'%' IDENTIFIED BY '{password}';\nGRANT ALL ON *.* TO 'rostra'@'%';\n")
    files = [*_folders(folder), f"--socket={folder / 'socket'}", f"--pid-file={folder / 'pid'}"]
    log = folder / "log"
    command: list[str | Path] = [
        program,
        "--no-defaults",
        *_as_root(),
        *files,
        *SERVER_FLAGS,
        f"--port={port}",
        f"--init-file={users}",
        *flags,
    ]
    url = f"mysql+aiomysql://rostra:{password}@127.0.0.1:{port}/mysql?charset=utf8mb4"
    with running(command, log=log) as process:
        wait_until_ready(process, lambda: _log_in(url), unless=OperationalError, log=log)
        yield url


def _folders(folder: Path) -> list[str]:
    """Return where a server keeps its data, and its temporary tables: as it starts it deletes all that it finds there.

    With a shared one, a server that starts takes away the tables of one that is being installed.
    """
    temporary = folder / "tmp"
    temporary.mkdir(exist_ok=True)
    return [f"--datadir={folder / 'data'}", f"--tmpdir={temporary}"]


def _as_root() -> list[str]:
    # Run by root, these servers refuse to start unless root is named as the user they shall run as.
    return ["--user=root"] if os.geteuid() == 0 else []


def _log_in(url: str) -> None:
    engine = create_engine(make_url(url).set(drivername="mysql+pymysql"), poolclass=NullPool)
    with engine.connect():
        pass
