"""The gRPC side of stored chat completions: translate, call, translate. Errors pass through untouched."""
# ruff: noqa: ARG002 - gRPC fixes the parameters of every RPC, used or not

from __future__ import annotations  # grpc's types are generic only for the type checker

from typing import TYPE_CHECKING, Any

import grpc

from rostra.history.v1 import chat_completion_pb2
from rostra.history.v1 import chat_completion_service_pb2 as pb
from rostra.history.v1.chat_completion_service_pb2_grpc import ChatCompletionServiceServicer
from rostra_history.chat_completion_service import ChatCompletionService
from rostra_history.chat_completion_store import ChatCompletion
from rostra_history.mapping import body_text, page_of, required, timestamp
from rostra_kit.context import current_caller

if TYPE_CHECKING:
    Context = grpc.aio.ServicerContext[Any, Any]


class ChatCompletionServicer(ChatCompletionServiceServicer):
    """Serves `rostra.history.v1.ChatCompletionService` for the caller of each RPC."""

    def __init__(self, service: ChatCompletionService) -> None:
        self._service = service

    async def CreateChatCompletion(
        self, request: pb.CreateChatCompletionRequest, context: Context
    ) -> pb.CreateChatCompletionResponse:
        """See the contract in chat_completion_service.proto."""
        completion = request.completion
        await self._service.create(
            owner=_owner(),
            completion_id=required(completion.id, param="completion.id"),
            models=completion.models,
            metadata=completion.metadata,
            body=body_text(completion.body, param="completion.body"),
            messages=[body_text(body, param=f"messages[{place}]") for place, body in enumerate(request.messages)],
        )
        return pb.CreateChatCompletionResponse()

    async def GetChatCompletion(
        self, request: pb.GetChatCompletionRequest, context: Context
    ) -> pb.GetChatCompletionResponse:
        """See the contract in chat_completion_service.proto."""
        completion = await self._service.get(owner=_owner(), completion_id=request.completion_id)
        return pb.GetChatCompletionResponse(completion=_message(completion))

    async def ListChatCompletions(
        self, request: pb.ListChatCompletionsRequest, context: Context
    ) -> pb.ListChatCompletionsResponse:
        """See the contract in chat_completion_service.proto."""
        page = await self._service.list(
            owner=_owner(), page=page_of(request.page), model=request.model, metadata=request.metadata
        )
        return pb.ListChatCompletionsResponse(completions=map(_message, page.elements), has_more=page.has_more)

    async def UpdateChatCompletion(
        self, request: pb.UpdateChatCompletionRequest, context: Context
    ) -> pb.UpdateChatCompletionResponse:
        """See the contract in chat_completion_service.proto."""
        completion = await self._service.update(
            owner=_owner(), completion_id=request.completion_id, metadata=request.metadata
        )
        return pb.UpdateChatCompletionResponse(completion=_message(completion))

    async def DeleteChatCompletion(
        self, request: pb.DeleteChatCompletionRequest, context: Context
    ) -> pb.DeleteChatCompletionResponse:
        """See the contract in chat_completion_service.proto."""
        await self._service.delete(owner=_owner(), completion_id=request.completion_id)
        return pb.DeleteChatCompletionResponse()

    async def ListChatMessages(
        self, request: pb.ListChatMessagesRequest, context: Context
    ) -> pb.ListChatMessagesResponse:
        """See the contract in chat_completion_service.proto."""
        page = await self._service.list_messages(
            owner=_owner(), completion_id=request.completion_id, page=page_of(request.page)
        )
        messages = [chat_completion_pb2.ChatMessage(id=each.id, body=each.body.encode()) for each in page.elements]
        return pb.ListChatMessagesResponse(messages=messages, has_more=page.has_more)


def _message(completion: ChatCompletion) -> chat_completion_pb2.ChatCompletion:
    return chat_completion_pb2.ChatCompletion(
        id=completion.id,
        models=completion.models,
        metadata=completion.metadata,
        body=completion.body.encode(),
        create_time=timestamp(completion.create_time_us),
    )


def _owner() -> str:
    return current_caller().user_id
