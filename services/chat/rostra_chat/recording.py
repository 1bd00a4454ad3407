"""A call whose answer is stored: it gets a name of Rostra's own, and is remembered while it is made."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import orjson

from rostra_chat.assembly import Assembly
from rostra_chat.catalogue import Model
from rostra_chat.completion_store import CompletionStore, StoredCompletion
from rostra_chat.errors import ProviderError
from rostra_chat.providers.provider import Body, Frame, Provider
from rostra_kit.ids import new_id

_MAX_STREAM_BYTES = 48 * 1024 * 1024


class Recording:
    """Does what `provider` does for one call, and stores the answer when it is told to.

    The answer's `id` is replaced: some providers draw theirs from less than a thousand, and no two completions of one
    client may have the same name.

    Args:
        provider: Answers the call.
        store: Where the answer goes.
        model: The name of the model that the client asked for.
        messages: What the client asked.
        metadata: The client's own pairs.
    """

    def __init__(
        self,
        provider: Provider,
        store: CompletionStore,
        *,
        model: str,
        messages: list[Any],
        metadata: dict[str, str],
    ) -> None:
        self._provider = provider
        self._store = store
        self._model = model
        self._metadata = metadata
        self._name = {"id": new_id("chatcmpl").replace("_", "-")}  # as OpenAI writes it
        self._messages = messages
        self._completion: dict[str, Any] = {}

    async def complete(self, model: Model, body: Body) -> tuple[dict[str, Any], bytes]:
        """Complete a chat: see `Provider`."""
        answer, _ = await self._provider.complete(model, body)
        self._completion = answer | self._name
        return self._completion, orjson.dumps(self._completion)

    async def stream(self, model: Model, body: Body) -> AsyncGenerator[list[Frame], None]:
        """Complete a chat and yield its chunks: see `Provider`."""
        assembly, size = Assembly(), 0
        async with aclosing(self._provider.stream(model, body)) as batches:
            async for batch in batches:
                named = [self._named(frame) for frame in batch]
                for frame in named:
                    assembly.add(frame.data)
                    size += len(frame.raw)
                if size > _MAX_STREAM_BYTES:
                    raise ProviderError("The model's provider sent an answer that is too large.")
                yield named
        self._completion = assembly.completion()

    async def store(self) -> None:
        """Store the answer, which has come to its end.

        Raises:
            AppError: As `CompletionStore.create` does.
        """
        await self._store.create(
            StoredCompletion(
                model=self._model, metadata=self._metadata, messages=self._messages, completion=self._completion
            )
        )

    def _named(self, frame: Frame) -> Frame:
        chunk = frame.data | self._name
        return Frame(data=chunk, raw=b"data: " + orjson.dumps(chunk) + b"\n\n")
