"""The gRPC face of chat: translate, call, translate. Errors pass through untouched."""
# ruff: noqa: ARG002 - gRPC fixes the parameters of every RPC, used or not

from __future__ import annotations  # grpc's types are generic only for the type checker

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from rostra.chat.v1 import chat_service_pb2 as pb
from rostra.chat.v1.chat_service_pb2_grpc import ChatServiceServicer
from rostra_chat.background.service import BackgroundResponses
from rostra_chat.completions import Completions
from rostra_chat.mapping import model_to_proto
from rostra_chat.models import ModelDirectory
from rostra_chat.responses.compaction import Compactions
from rostra_chat.responses.engine import ResponsesEngine
from rostra_chat.responses.input_tokens import InputTokens
from rostra_chat.titles import Titles

if TYPE_CHECKING:
    import grpc

    Context = grpc.aio.ServicerContext[Any, Any]


class ChatServicer(ChatServiceServicer):
    """Serves the calls of `rostra.chat.v1.ChatService`."""

    def __init__(
        self,
        *,
        models: ModelDirectory,
        completions: Completions,
        responses: ResponsesEngine,
        background: BackgroundResponses,
        input_tokens: InputTokens,
        compactions: Compactions,
        titles: Titles,
    ) -> None:
        self._models = models
        self._completions = completions
        self._responses = responses
        self._background = background
        self._input_tokens = input_tokens
        self._compactions = compactions
        self._titles = titles

    async def ListModels(self, request: pb.ListModelsRequest, context: Context) -> pb.ListModelsResponse:
        """List the models on offer."""
        return pb.ListModelsResponse(models=[model_to_proto(model) for model in await self._models.list()])

    async def GetModel(self, request: pb.GetModelRequest, context: Context) -> pb.GetModelResponse:
        """Get one model."""
        model, _ = await self._models.get(request.id)
        return pb.GetModelResponse(model=model_to_proto(model))

    async def CreateChatCompletion(
        self, request: pb.CreateChatCompletionRequest, context: Context
    ) -> pb.CreateChatCompletionResponse:
        """Complete a chat."""
        completion = await self._completions.create(model=request.model, body=request.body, store=request.store)
        return pb.CreateChatCompletionResponse(body=completion.body, limits=completion.limits)

    async def StreamChatCompletion(
        self, request: pb.StreamChatCompletionRequest, context: Context
    ) -> AsyncIterator[pb.StreamChatCompletionResponse]:
        """Complete a chat and stream it."""
        stream = self._completions.stream(model=request.model, body=request.body, store=request.store)
        async with aclosing(stream) as pieces:
            async for piece in pieces:
                yield pb.StreamChatCompletionResponse(frames=piece.body, limits=piece.limits)

    async def CreateResponse(self, request: pb.CreateResponseRequest, context: Context) -> pb.CreateResponseResponse:
        """Make a response, or queue one."""
        if request.state.background:
            return await self._background.create(request)
        return await self._responses.create(request)

    async def StreamResponse(
        self, request: pb.StreamResponseRequest, context: Context
    ) -> AsyncIterator[pb.StreamResponseResponse]:
        """Make a response and stream its events."""
        makers = self._background if request.state.background else self._responses
        async with aclosing(makers.stream(request)) as messages:
            async for message in messages:
                yield message

    async def FollowResponse(
        self, request: pb.FollowResponseRequest, context: Context
    ) -> AsyncIterator[pb.FollowResponseResponse]:
        """Stream the events of a background response from any point."""
        async with aclosing(self._background.follow(request)) as messages:
            async for message in messages:
                yield message

    async def CancelResponse(self, request: pb.CancelResponseRequest, context: Context) -> pb.CancelResponseResponse:
        """Cancel a background response."""
        return await self._background.cancel(request)

    async def CountInputTokens(
        self, request: pb.CountInputTokensRequest, context: Context
    ) -> pb.CountInputTokensResponse:
        """Count what a response would be given."""
        return await self._input_tokens.count(request)

    async def CompactResponse(self, request: pb.CompactResponseRequest, context: Context) -> pb.CompactResponseResponse:
        """Make a long input short."""
        return await self._compactions.compact(request)

    async def GenerateTitle(self, request: pb.GenerateTitleRequest, context: Context) -> pb.GenerateTitleResponse:
        """Name a conversation."""
        return await self._titles.generate(request)
