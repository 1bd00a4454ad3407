"""The use case behind `POST /v1/chat/completions`: find the model, reserve, call the provider, settle, store."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import NamedTuple

from rostra.common.v1.limit_state_pb2 import LimitState
from rostra.user.v1.usage_pb2 import UsageOutcome
from rostra_chat.catalogue import Model
from rostra_chat.chat_request import measure, messages_of, metadata_of, parse_body
from rostra_chat.completion_store import CompletionStore
from rostra_chat.metering import Charge, Meter
from rostra_chat.models import ModelDirectory
from rostra_chat.providers.provider import Body, Frame, Provider
from rostra_chat.recording import Recording
from rostra_chat.tally import Tally

_DONE = b"data: [DONE]\n\n"


class Completion(NamedTuple):
    """An answer, or a piece of one that is streamed.

    Attributes:
        body: JSON, or frames ready for the wire.
        limits: Where the caller stands after the reservation; in a stream only with the first piece.
    """

    body: bytes
    limits: tuple[LimitState, ...] = ()


class Completions:
    """Completes chats.

    Args:
        models: Finds models and their providers.
        meter: Reserves before the call, settles after it.
        store: Takes the answers that clients want to be stored.
        default_max_output_tokens: What is reserved for an answer that nothing else bounds.
    """

    def __init__(
        self, *, models: ModelDirectory, meter: Meter, store: CompletionStore, default_max_output_tokens: int
    ) -> None:
        self._models = models
        self._meter = meter
        self._store = store
        self._default_max_output_tokens = default_max_output_tokens

    async def create(self, *, model: str, body: bytes, store: bool = False) -> Completion:
        """Complete a chat and return the whole answer, once it is stored if it is to be.

        Raises:
            AppError: What is wrong with the request, the limits or the provider; then nothing is charged. Or the answer
                could not be stored: it is charged all the same.
        """
        call = await self._begin(model, body, store=store)
        try:
            completion, raw = await call.provider.complete(call.model, call.body)
            call.tally.add_completion(completion)
        except asyncio.CancelledError:
            # The provider was asked: the input, at least, is spent.
            await call.settle(UsageOutcome.USAGE_OUTCOME_CANCELLED)
            raise
        except Exception:
            await call.charge.cancel()
            raise
        await call.settle(UsageOutcome.USAGE_OUTCOME_FINISHED)
        await call.store()
        return Completion(raw, call.charge.limits)

    async def stream(self, *, model: str, body: bytes, store: bool = False) -> AsyncGenerator[Completion, None]:
        """Complete a chat and yield the answer while it is made; closing the iterator ends the provider's call.

        Whatever the end, what was produced is settled, once. An answer that is to be stored is, before its last piece.

        Raises:
            AppError: As `create` does before the first piece; after it what broke the stream, and what was produced
                until then is charged.
        """
        call = await self._begin(model, body, store=store)
        limits, outcome = call.charge.limits, UsageOutcome.USAGE_OUTCOME_CANCELLED
        try:
            async with aclosing(call.provider.stream(call.model, call.body)) as batches:
                async for batch in batches:
                    call.tally.add(batch)
                    call.has_begun = True
                    if frames := call.wanted(batch):
                        yield Completion(frames, limits)
                        limits = ()
            outcome = UsageOutcome.USAGE_OUTCOME_FINISHED
        except Exception:
            outcome = UsageOutcome.USAGE_OUTCOME_FAILED
            raise
        finally:
            await call.end(outcome)
        await call.store()
        yield Completion(_DONE, limits)

    async def _begin(self, model_name: str, raw_body: bytes, *, store: bool) -> "_Call":
        body = parse_body(raw_body)
        model, provider = await self._models.get(model_name)
        recording = None
        if store:
            messages, metadata = messages_of(body), metadata_of(body)
            recording = Recording(provider, self._store, model=model_name, messages=messages, metadata=metadata)
        # Rostra is what stores: servers that do not would refuse both, and OpenAI would store the answer as well.
        body.pop("metadata", None)
        body.pop("store", None)
        demand = measure(model, body, default_max_output_tokens=self._default_max_output_tokens)
        charge = await self._meter.reserve(
            model=model, input_tokens=demand.input_tokens, max_output_tokens=demand.max_output_tokens
        )
        return _Call(model, recording or provider, body, charge, Tally(input_tokens=demand.input_tokens))


class _Call:
    """One call of a provider, from its reservation to its end."""

    def __init__(self, model: Model, provider: Provider | Recording, body: Body, charge: Charge, tally: Tally) -> None:
        self.model = model
        self.provider = provider
        self.body = body
        self.charge = charge
        self.tally = tally
        self.has_begun = False
        options = body.get("stream_options")
        self._wants_usage = isinstance(options, dict) and options.get("include_usage") is True

    def wanted(self, batch: list[Frame]) -> bytes:
        """Return the bytes of a batch without the usage chunk, unless the client asked for it."""
        if self._wants_usage:
            return b"".join([frame.raw for frame in batch])
        return b"".join([frame.raw for frame in batch if not _is_usage_chunk(frame)])

    async def store(self) -> None:
        """Store the answer if it is to be."""
        if isinstance(self.provider, Recording):
            await self.provider.store()

    async def end(self, outcome: UsageOutcome) -> None:
        """Settle; a call that failed before the provider said anything costs nothing."""
        if outcome == UsageOutcome.USAGE_OUTCOME_FAILED and not self.has_begun:
            await self.charge.cancel()
        else:
            await self.settle(outcome)

    async def settle(self, outcome: UsageOutcome) -> None:
        """Charge what was produced."""
        await self.charge.settle(self.tally.usage(), outcome=outcome, estimated=self.tally.is_estimated)


def _is_usage_chunk(frame: Frame) -> bool:
    return not frame.data.get("choices") and frame.data.get("usage") is not None
