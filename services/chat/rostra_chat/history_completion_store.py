"""Keeps chat completions in the history service."""

from typing import TYPE_CHECKING

import orjson

from rostra.history.v1.chat_completion_pb2 import ChatCompletion
from rostra.history.v1.chat_completion_service_pb2 import CreateChatCompletionRequest
from rostra_chat.completion_store import StoredCompletion
from rostra_kit.client import ServiceClient
from rostra_kit.errors import AppError, InvalidArgumentError, UnavailableError

if TYPE_CHECKING:
    # The asynchronous face of the generated stub exists for type checkers alone.
    from rostra.history.v1.chat_completion_service_pb2_grpc import ChatCompletionServiceAsyncStub

_LONGEST_MODEL_NAME = 256


class HistoryCompletionStore:
    """Implements `CompletionStore` by calls of the history service."""

    def __init__(self, client: "ServiceClient[ChatCompletionServiceAsyncStub]") -> None:
        self._client = client

    async def create(self, stored: StoredCompletion) -> None:
        """Store a completion: see `CompletionStore`."""
        request = CreateChatCompletionRequest(
            completion=ChatCompletion(
                id=stored.completion["id"],
                models=_models(stored),
                metadata=stored.metadata,
                body=orjson.dumps({name: value for name, value in stored.completion.items() if name != "metadata"}),
            ),
            messages=[orjson.dumps(message) for message in stored.messages],
        )
        try:
            await self._client.call(self._client.stub.CreateChatCompletion, request)
        except InvalidArgumentError:
            raise
        except AppError as error:
            raise UnavailableError("The answer could not be stored.", retry_after_seconds=1) from error


def _models(stored: StoredCompletion) -> list[str]:
    """Return the model's names: the client's, and where the provider has another one of its own, that too."""
    answered = stored.completion.get("model")
    names = [stored.model]
    if isinstance(answered, str) and answered != stored.model and len(answered) <= _LONGEST_MODEL_NAME:
        names.append(answered)
    return names
