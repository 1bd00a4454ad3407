"""The services behind the gateway."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from rostra.chat.v1 import chat_service_pb2
from rostra.chat.v1.chat_service_pb2_grpc import ChatServiceStub
from rostra.history.v1 import chat_completion_service_pb2, history_service_pb2, share_service_pb2
from rostra.history.v1.chat_completion_service_pb2_grpc import ChatCompletionServiceStub
from rostra.history.v1.history_service_pb2_grpc import HistoryServiceStub
from rostra.history.v1.share_service_pb2_grpc import ShareServiceStub
from rostra.user.v1 import admin_service_pb2, user_service_pb2
from rostra.user.v1.admin_service_pb2_grpc import AdminServiceStub
from rostra.user.v1.user_service_pb2_grpc import UserServiceStub
from rostra_gateway.settings import Settings
from rostra_kit.client import ServiceClient
from rostra_kit.rpc_metrics import ClientRpcMetrics

if TYPE_CHECKING:
    from rostra.chat.v1.chat_service_pb2_grpc import ChatServiceAsyncStub
    from rostra.history.v1.chat_completion_service_pb2_grpc import ChatCompletionServiceAsyncStub
    from rostra.history.v1.history_service_pb2_grpc import HistoryServiceAsyncStub
    from rostra.history.v1.share_service_pb2_grpc import ShareServiceAsyncStub
    from rostra.user.v1.admin_service_pb2_grpc import AdminServiceAsyncStub
    from rostra.user.v1.user_service_pb2_grpc import UserServiceAsyncStub


@dataclass(frozen=True, slots=True)
class Clients:
    """A client of each service; user serves two, and history three."""

    user: "ServiceClient[UserServiceAsyncStub]"
    admin: "ServiceClient[AdminServiceAsyncStub]"
    chat: "ServiceClient[ChatServiceAsyncStub]"
    history: "ServiceClient[HistoryServiceAsyncStub]"
    shares: "ServiceClient[ShareServiceAsyncStub]"
    chat_completions: "ServiceClient[ChatCompletionServiceAsyncStub]"


@asynccontextmanager
async def open_clients(settings: Settings, registry: CollectorRegistry) -> AsyncIterator[Clients]:
    """Open the clients, and close their connections at the end; `registry` takes the metrics of their calls."""
    metrics = ClientRpcMetrics(registry)
    user_service = user_service_pb2.DESCRIPTOR.services_by_name["UserService"]
    admin_service = admin_service_pb2.DESCRIPTOR.services_by_name["AdminService"]
    chat_service = chat_service_pb2.DESCRIPTOR.services_by_name["ChatService"]
    history_service = history_service_pb2.DESCRIPTOR.services_by_name["HistoryService"]
    share_service = share_service_pb2.DESCRIPTOR.services_by_name["ShareService"]
    completion_service = chat_completion_service_pb2.DESCRIPTOR.services_by_name["ChatCompletionService"]
    async with (
        ServiceClient(UserServiceStub, user_service, settings.user, metrics) as user,
        ServiceClient(AdminServiceStub, admin_service, settings.user, metrics) as admin,
        ServiceClient(ChatServiceStub, chat_service, settings.chat, metrics, is_carried=True) as chat,
        ServiceClient(HistoryServiceStub, history_service, settings.history, metrics) as history,
        ServiceClient(ShareServiceStub, share_service, settings.history, metrics) as shares,
        ServiceClient(ChatCompletionServiceStub, completion_service, settings.history, metrics) as chat_completions,
    ):
        yield Clients(
            user=user, admin=admin, chat=chat, history=history, shares=shares, chat_completions=chat_completions
        )
