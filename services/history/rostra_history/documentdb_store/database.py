"""The connection to the server: collections, errors in Rostra's terms, operations that run to their end."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import (
    ConnectionFailure,
    DocumentTooLarge,
    DuplicateKeyError,
    ExecutionTimeout,
    OperationFailure,
    WriteConcernError,
)

from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra_history.pending_operations import PendingOperations
from rostra_history.settings import DatabaseSettings
from rostra_kit.errors import AlreadyExistsError, InvalidArgumentError, UnavailableError
from rostra_kit.telemetry.database import DatabaseMetrics
from rostra_kit.telemetry.mongodb import CommandWatch, PoolWatch

T = TypeVar("T")
Document = dict[str, Any]

# A read that got no answer is tried once more by the driver. Both tries, with all else that a read waits for, may take
# as much longer than the first: it is refused, with a time to come back, well before the call's deadline.
_SECOND_TRY_SECONDS = 1.0
# Connections that lost their server without a word are all dropped when the driver next looks at it.
_HEARTBEAT_MS = 5000
# A user that is not known, or may not do what it must: while credentials are being replaced, for one.
_REFUSED_CREDENTIALS = (13, 18)


class Database:
    """The collections, and how operations on them are run."""

    def __init__(self, database: AsyncDatabase[Document], commands: CommandWatch, *, silence_seconds: float) -> None:
        self._database = database
        self._commands = commands
        self._read_seconds = silence_seconds + _SECOND_TRY_SECONDS
        self._operations = PendingOperations()
        self.conversations = database["conversations"]
        self.items = database["items"]
        self.responses = database["responses"]
        self.shares = database["shares"]
        self.chat_completions = database["chat_completions"]

    async def read(self, operation: Coroutine[Any, Any, T]) -> T:
        """Run an operation that changes nothing, and return what it returns.

        It is given up, as unavailable, when it takes longer than the server may be silent, and a second.
        """
        with _translated_errors():
            async with asyncio.timeout(self._read_seconds):
                return await self._run(operation)

    async def write(self, operation: Coroutine[Any, Any, T]) -> T:
        """Run an operation, and return what it returns."""
        with _translated_errors():
            return await self._run(operation)

    async def ping(self) -> None:
        """Return when the server answers."""
        await self.read(self._database.client.admin.command("ping"))

    async def cut(self, operation: Coroutine[Any, Any, T]) -> T:
        """Run an operation that ends when the caller is cancelled; nothing more can be done here after that."""
        with _translated_errors():
            return await self._watched(operation)

    async def drain(self) -> None:
        """Return when all operations under way have ended."""
        await self._operations.drain()

    async def _run(self, operation: Coroutine[Any, Any, T]) -> T:
        """Run an operation to its end even when the caller is cancelled, as when it has waited for long enough.

        Nothing may be cut: who is cancelled while waiting for a connection can leave PyMongo's pool in a state in which
        it gives out none. PyMongo's own timeouts end each operation.
        """
        return await self._operations.run(self._watched(operation))

    async def _watched(self, operation: Coroutine[Any, Any, T]) -> T:
        with self._commands.operation():
            return await operation


def existing(owner: str, document_id: str) -> Document:
    """Return the filter for a conversation or response that exists and is not being deleted."""
    return {"_id": document_id, "owner": owner, "deleting": False}


def member(owner: str, conversation_id: str, item_id: str) -> Document:
    """Return the filter for an item of the conversation that is not deleted."""
    return {"_id": item_id, "owner": owner, "conversation_id": conversation_id, "deleted": False}


@asynccontextmanager
async def open_database(
    settings: DatabaseSettings, registry: CollectorRegistry | None = None
) -> AsyncIterator[Database]:
    """Open the database that the settings name; `registry` takes what is measured."""
    timeout_ms = int(settings.timeout_seconds * 1000)
    registry = registry or CollectorRegistry()
    connections = PoolWatch(registry, service="history", limit=settings.max_connections)
    commands = CommandWatch(DatabaseMetrics(registry))
    options: dict[str, Any] = {
        "appname": "rostra-history",
        "w": "majority",
        "retryWrites": settings.retry_writes,
        "maxPoolSize": settings.max_connections,
        "serverSelectionTimeoutMS": timeout_ms,
        "connectTimeoutMS": timeout_ms,
        "waitQueueTimeoutMS": timeout_ms,
        "socketTimeoutMS": int(settings.silence_seconds * 1000),
        "heartbeatFrequencyMS": _HEARTBEAT_MS,
        "event_listeners": [commands, connections],
    }
    if settings.tls_ca_file is not None:
        options |= {"tls": True, "tlsCAFile": str(settings.tls_ca_file)}
    client: AsyncMongoClient[Document] = AsyncMongoClient(settings.url.get_secret_value(), **options)
    async with client:
        database = Database(
            client.get_default_database(settings.name), commands, silence_seconds=settings.silence_seconds
        )
        try:
            yield database
        finally:
            await database.drain()


@contextmanager
def _translated_errors() -> Iterator[None]:
    try:
        yield
    except (ConnectionFailure, ExecutionTimeout, WriteConcernError, TimeoutError) as error:
        raise _unreachable() from error
    except DuplicateKeyError as error:
        raise AlreadyExistsError("Something of this name exists already.") from error
    except DocumentTooLarge as error:
        raise InvalidArgumentError(
            "One piece of the request is larger than can be stored.",
            reason=ErrorReason.ERROR_REASON_REQUEST_TOO_LARGE,
        ) from error
    except OperationFailure as error:
        if error.code not in _REFUSED_CREDENTIALS:
            raise
        raise _unreachable() from error


def _unreachable() -> UnavailableError:
    return UnavailableError("The history cannot be reached right now.", retry_after_seconds=1)
