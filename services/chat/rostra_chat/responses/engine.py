"""The use case behind `POST /v1/responses`, streamed and not."""

from collections.abc import AsyncIterator

from rostra.chat.v1.chat_service_pb2 import (
    CreateResponseRequest,
    CreateResponseResponse,
    StreamResponseRequest,
    StreamResponseResponse,
)
from rostra_chat.responses.store import ResponseStore


class ResponsesEngine:
    """Makes responses: loads what they continue, runs the model, and stores and settles what came of it.

    Args:
        models: Finds a model and its provider by the model's public name.
        meter: Reserves tokens and money before the provider is called.
        store: Remembers responses; `HistoryResponseStore(client)` in production.
    """

    def __init__(self, *, models: object, meter: object, store: ResponseStore) -> None:
        self._models = models
        self._meter = meter
        self._store = store

    async def create(self, request: CreateResponseRequest) -> CreateResponseResponse:
        """Make a response and return it finished."""
        raise NotImplementedError

    def stream(self, request: StreamResponseRequest) -> AsyncIterator[StreamResponseResponse]:
        """Make a response and yield its events while it is made."""
        raise NotImplementedError
