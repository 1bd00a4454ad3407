"""The composition root of chat: the only module that names implementations."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from prometheus_client import CollectorRegistry

from rostra.chat.v1.chat_service_pb2_grpc import add_ChatServiceServicer_to_server
from rostra.history.v1 import chat_completion_service_pb2, history_service_pb2
from rostra.history.v1.chat_completion_service_pb2_grpc import ChatCompletionServiceStub
from rostra.history.v1.history_service_pb2_grpc import HistoryServiceStub
from rostra.user.v1 import user_service_pb2
from rostra.user.v1.user_service_pb2_grpc import UserServiceStub
from rostra_chat.background.history_queue import HistoryJobQueue
from rostra_chat.background.opening import open_background
from rostra_chat.catalogue import load_catalogue
from rostra_chat.completions import Completions
from rostra_chat.history_completion_store import HistoryCompletionStore
from rostra_chat.history_conversations import HistoryConversations
from rostra_chat.metering import Meter
from rostra_chat.metrics import ChatMetrics
from rostra_chat.models import ModelDirectory
from rostra_chat.open_calls import OpenCalls
from rostra_chat.providers.echo import EchoProvider
from rostra_chat.providers.measured import MeasuredProvider
from rostra_chat.providers.openai import OpenAIProvider
from rostra_chat.providers.provider import Provider
from rostra_chat.responses.compaction import Compactions
from rostra_chat.responses.engine import ResponsesEngine
from rostra_chat.responses.history_store import HistoryResponseStore
from rostra_chat.responses.input_tokens import InputTokens
from rostra_chat.responses.leases import longest_until_renewed
from rostra_chat.responses.planner import Planner
from rostra_chat.servicer import ChatServicer
from rostra_chat.settings import Settings
from rostra_chat.spend import Spend
from rostra_chat.titles import Titles
from rostra_chat.usage_log import UsageLog
from rostra_kit.client import ServiceClient
from rostra_kit.limits import open_limiter
from rostra_kit.redis import open_redis
from rostra_kit.rpc_metrics import ClientRpcMetrics
from rostra_kit.server import GrpcApp

_USER = user_service_pb2.DESCRIPTOR.services_by_name["UserService"]
_HISTORY = history_service_pb2.DESCRIPTOR.services_by_name["HistoryService"]
_STORED = chat_completion_service_pb2.DESCRIPTOR.services_by_name["ChatCompletionService"]


@asynccontextmanager
async def build(settings: Settings, registry: CollectorRegistry) -> AsyncIterator[GrpcApp]:
    """Open everything that chat needs, and close it in reverse order."""
    metrics = ChatMetrics(registry)
    most = settings.default_max_output_tokens
    catalogue = load_catalogue(settings.catalogue_file)
    async with AsyncExitStack() as stack:
        opened = stack.enter_async_context
        redis = await opened(open_redis(settings.redis, registry))
        calls_made = ClientRpcMetrics(registry)
        user = await opened(ServiceClient(UserServiceStub, _USER, settings.user, calls_made))
        history = await opened(
            ServiceClient(
                HistoryServiceStub,
                _HISTORY,
                settings.history,
                calls_made,
                also_carried=("CreateResponse", "FinishResponse"),
            )
        )
        stored = await opened(ServiceClient(ChatCompletionServiceStub, _STORED, settings.history, calls_made))
        providers = [MeasuredProvider(each, metrics) for each in await _open_providers(settings, stack)]
        models = await opened(ModelDirectory.open(catalogue, providers, settings.discovery))
        fallback, lost = metrics.limiter_fallbacks.inc, metrics.settlements_lost.inc
        limiter = await opened(open_limiter(redis.limiter, on_fallback=fallback, on_lost=lost))
        calls = await opened(
            OpenCalls(redis.limiter, limiter=limiter, metrics=metrics, hold_seconds=settings.call_hold_seconds)
        )
        usage_log = await opened(UsageLog(redis.limiter, calls=calls, metrics=metrics))
        meter = Meter(limiter, usage_log, load_spent=Spend(user).of_month, metrics=metrics)
        stack.push_async_callback(meter.drain)
        completions = Completions(
            models=models, meter=meter, store=HistoryCompletionStore(stored), default_max_output_tokens=most
        )
        store = HistoryResponseStore(history)
        responses = await opened(
            ResponsesEngine(
                models=models,
                meter=meter,
                store=store,
                default_max_output_tokens=most,
                lease_seconds=settings.response_lease_seconds,
            )
        )
        background = await opened(
            open_background(
                settings.background,
                redis=redis,
                queue=HistoryJobQueue(history),
                planner=Planner(models=models, store=store, default_max_output_tokens=most),
                meter=meter,
                metrics=metrics,
                drain_seconds=settings.shutdown.drain_seconds,
                foreground_renewal_seconds=longest_until_renewed(settings.response_lease_seconds),
            )
        )
        servicer = ChatServicer(
            models=models,
            completions=completions,
            responses=responses,
            background=background.responses,
            input_tokens=InputTokens(models=models, store=store),
            compactions=Compactions(models=models, meter=meter, store=store, default_max_output_tokens=most),
            titles=Titles(models=models, meter=meter, conversations=HistoryConversations(history)),
        )
        register = partial(add_ChatServiceServicer_to_server, servicer)
        yield GrpcApp(register, on_draining=background.runner.stop_claiming)


async def _open_providers(settings: Settings, stack: AsyncExitStack) -> list[Provider]:
    """Open the providers that are configured, the one that is preferred for a name first."""
    providers: list[Provider] = []
    if settings.openai_api_key or settings.openai_base_url:
        opening = OpenAIProvider.open(
            base_url=str(settings.openai_base_url or ""),
            api_key=settings.openai_api_key,
            settings=settings.provider,
        )
        providers.append(await stack.enter_async_context(opening))
    if settings.echo.enabled:
        providers.append(EchoProvider(word_delay_seconds=settings.echo.word_delay_seconds))
    return providers
