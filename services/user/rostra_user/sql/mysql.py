"""Connections to MySQL and MariaDB: those of aiomysql, with what it leaves to chance decided.

aiomysql logs in without TLS where the server offers none, although TLS was asked for; it waits for an answer without
end, also while it logs in; and on uvloop a dead socket makes it raise a `RuntimeError`, which nobody takes for a lost
connection.
"""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiomysql
from aiomysql.connection import MysqlPacket
from pymysql.constants import CLIENT, CR

from rostra_user.settings import DatabaseSettings

logger = logging.getLogger(__name__)


class MysqlConnection(aiomysql.Connection):  # type: ignore[misc] # aiomysql has no types
    """A connection that is safe or none, and that notices when nobody answers.

    Attributes:
        read_timeout_seconds: Longest wait for the answer to a statement; `None` waits without end.
    """

    def __init__(self, *, read_timeout_seconds: float, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.read_timeout_seconds: float | None = read_timeout_seconds

    async def open(self) -> None:
        """Connect and log in within `connect_timeout`."""
        async with self._limit(self.connect_timeout):
            await self._connect()

    async def ping(self, reconnect: bool = False) -> None:
        """Ask for a sign of life, which may take half as long as a new connection, because one may follow."""
        async with self._limit(self.connect_timeout / 2):
            await super().ping(reconnect)

    async def ensure_closed(self) -> None:
        """Say goodbye if there is still somebody to say it to, and close."""
        writer = self._writer
        with suppress(RuntimeError, OSError):
            await super().ensure_closed()
        self.close()
        if writer is not None:
            # TLS would say goodbye once more, and wait for the answer.
            writer.transport.abort()

    async def _request_authentication(self) -> None:
        if self._ssl_context is not None and not self.server_capabilities & CLIENT.SSL:
            raise aiomysql.OperationalError(CR.CR_SSL_CONNECTION_ERROR, "the server offers no TLS")
        await super()._request_authentication()

    async def _read_packet(self, packet_type: type[MysqlPacket] = MysqlPacket) -> MysqlPacket:
        async with self._limit(self.read_timeout_seconds):
            return await super()._read_packet(packet_type)

    def _write_bytes(self, data: bytes) -> None:
        try:
            super()._write_bytes(data)
        except RuntimeError as error:
            self.close()
            raise aiomysql.OperationalError(CR.CR_SERVER_LOST, "the connection is closed") from error

    @asynccontextmanager
    async def _limit(self, seconds: float | None) -> AsyncIterator[None]:
        """Drop the connection when what is done meanwhile takes longer."""
        # Its own, because aiomysql forgets the stream when it is cancelled.
        writer = self._writer
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError as error:
            writer = self._writer or writer
            if writer is not None:
                # Closing would wait until the peer has taken what was sent.
                writer.transport.abort()
            self.close()
            raise aiomysql.OperationalError(CR.CR_SERVER_LOST, f"no answer within {seconds:g} s") from error


def connector(settings: DatabaseSettings) -> Callable[..., Awaitable[MysqlConnection]]:
    """Return what opens a connection with the credentials and certificates that the files hold at that moment."""

    async def connect(**arguments: Any) -> MysqlConnection:
        try:
            connection = MysqlConnection(
                read_timeout_seconds=settings.read_timeout_seconds,
                **arguments | _credentials(settings) | _tls(settings),
            )
            await connection.open()
        except OSError as error:
            logger.warning("no connection to the database: %s", error)
            raise aiomysql.OperationalError(CR.CR_CONN_HOST_ERROR, str(error)) from error
        except aiomysql.Error as error:
            # The reason stands in the cause where there is one: "certificate verify failed".
            logger.warning("no connection to the database: %s", error.__cause__ or error)
            raise
        return connection

    return connect


def _credentials(settings: DatabaseSettings) -> dict[str, str]:
    files = {"user": settings.user_file, "password": settings.password_file}
    return {name: file.read_text().strip("\r\n") for name, file in files.items() if file is not None}


def _tls(settings: DatabaseSettings) -> dict[str, ssl.SSLContext]:
    if settings.tls_ca_file is None:
        return {}
    # Also compares the server's name with the host of the URL.
    context = ssl.create_default_context(cafile=str(settings.tls_ca_file))
    if settings.tls_certificate_file is not None:
        context.load_cert_chain(settings.tls_certificate_file, settings.tls_key_file)
    return {"ssl": context}
