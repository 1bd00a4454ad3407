"""The composition root: the only module that names implementations."""

import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

from prometheus_client import CollectorRegistry

from rostra.history.v1.chat_completion_service_pb2_grpc import add_ChatCompletionServiceServicer_to_server
from rostra.history.v1.history_service_pb2_grpc import add_HistoryServiceServicer_to_server
from rostra.history.v1.share_service_pb2_grpc import add_ShareServiceServicer_to_server
from rostra_history.chat_completion_service import ChatCompletionService
from rostra_history.chat_completion_servicer import ChatCompletionServicer
from rostra_history.documentdb_store import open_documentdb_store
from rostra_history.feedback_service import FeedbackService
from rostra_history.import_service import ImportService
from rostra_history.metrics import HistoryMetrics
from rostra_history.queue_service import QueueService
from rostra_history.search_service import SearchService
from rostra_history.service import HistoryService
from rostra_history.servicer import HistoryServicer
from rostra_history.settings import DatabaseSettings, Settings
from rostra_history.share_service import ShareService
from rostra_history.share_servicer import ShareServicer
from rostra_history.sqlite_store import open_sqlite_store
from rostra_history.store import HistoryStore
from rostra_kit.server import GrpcApp, all_of


@asynccontextmanager
async def build(settings: Settings, registry: CollectorRegistry) -> AsyncIterator[GrpcApp]:
    """Open everything that the history service needs, and close it in the end."""
    async with open_store(settings.database, registry) as store:
        metrics = HistoryMetrics(registry)
        service = HistoryService(
            store=store,
            metrics=metrics,
            now_us=now_us,
            abandoned_after_us=int(settings.abandoned_after_seconds * 1_000_000),
        )
        queue = QueueService(queue=store.queue, metrics=metrics, now_us=now_us)
        feedback = FeedbackService(store=store, metrics=metrics, now_us=now_us)
        imports = ImportService(store=store, metrics=metrics, now_us=now_us)
        shares = ShareServicer(ShareService(store=store, metrics=metrics, now_us=now_us))
        search = SearchService(store.search)
        history = HistoryServicer(service, queue, feedback, search, imports)
        completions = ChatCompletionService(store=store.chat_completions, metrics=metrics, now_us=now_us)
        register = all_of(
            partial(add_HistoryServiceServicer_to_server, history),
            partial(add_ShareServiceServicer_to_server, shares),
            partial(add_ChatCompletionServiceServicer_to_server, ChatCompletionServicer(completions)),
        )
        yield GrpcApp(register, readiness=[store.ping])


def open_store(
    settings: DatabaseSettings, registry: CollectorRegistry | None = None
) -> AbstractAsyncContextManager[HistoryStore]:
    """Open the store that the URL asks for; `registry` takes what is measured of it."""
    if settings.sqlite_path is not None:
        return open_sqlite_store(settings.sqlite_path, registry)
    return open_documentdb_store(settings, registry)


def now_us() -> int:
    """Return the time in microseconds since 1970, UTC."""
    return time.time_ns() // 1_000
