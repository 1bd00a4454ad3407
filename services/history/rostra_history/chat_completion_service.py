"""The use cases of stored chat completions; no gRPC, no database, no environment."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra_history.chat_completion_store import ChatCompletion, ChatCompletionStore, tags_of
from rostra_history.domain import Page, PageRequest
from rostra_history.errors import PageStartNotFound
from rostra_history.metrics import HistoryMetrics
from rostra_history.validation import MAX_COMPLETION_BYTES, check_metadata
from rostra_kit.errors import InvalidArgumentError

_MAX_ID_LENGTH = 128
_MAX_MODELS = 2
_MAX_PAGE_CHARACTERS = 12 * 1024 * 1024  # of up to four bytes


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """A message that a completion was asked with.

    Attributes:
        id: The completion's name and the message's place, from 0: `chatcmpl-…-0`.
        body: OpenAI's message as JSON text.
    """

    id: str
    body: str


class ChatCompletionService:
    """Keeps chat completions, each for its owner alone.

    Args:
        store: Where they are kept.
        metrics: What is counted.
        now_us: The time in microseconds since 1970, UTC.
    """

    def __init__(self, *, store: ChatCompletionStore, metrics: HistoryMetrics, now_us: Callable[[], int]) -> None:
        self._store = store
        self._metrics = metrics
        self._now_us = now_us

    async def create(
        self,
        *,
        owner: str,
        completion_id: str,
        models: Sequence[str],
        metadata: Mapping[str, str],
        body: str,
        messages: Sequence[str],
    ) -> None:
        """Store a completion with the messages that it was asked with; doing so again changes nothing."""
        _check_names(completion_id, models)
        check_metadata(metadata)
        _check_size(body, messages)
        completion = ChatCompletion(
            id=completion_id,
            owner=owner,
            models=list(models),
            metadata=dict(metadata),
            body=body,
            message_count=len(messages),
            create_time_us=self._now_us(),
        )
        await self._store.create(completion, messages)
        self._metrics.chat_completions_stored.inc()

    async def get(self, *, owner: str, completion_id: str) -> ChatCompletion:
        """Return the completion."""
        return await self._store.get(owner=owner, completion_id=completion_id)

    async def list(
        self, *, owner: str, page: PageRequest, model: str, metadata: Mapping[str, str]
    ) -> Page[ChatCompletion]:
        """Return a page of the owner's completions: of `model`, unless it is empty, and with all of `metadata`.

        It ends early, and another follows, where one message of gRPC could not hold it.
        """
        check_metadata(metadata)
        tags = tags_of([model] if model else [], metadata)
        return _within_bounds(await self._store.list_page(owner=owner, page=page, tags=tags))

    async def update(self, *, owner: str, completion_id: str, metadata: Mapping[str, str]) -> ChatCompletion:
        """Replace the completion's metadata."""
        check_metadata(metadata)
        return await self._store.update(owner=owner, completion_id=completion_id, metadata=metadata)

    async def delete(self, *, owner: str, completion_id: str) -> None:
        """Delete the completion."""
        await self._store.delete(owner=owner, completion_id=completion_id)

    async def list_messages(self, *, owner: str, completion_id: str, page: PageRequest) -> Page[ChatMessage]:
        """Return a page of the messages that the completion was asked with."""
        count = (await self._store.get(owner=owner, completion_id=completion_id)).message_count
        places = range(count - 1, -1, -1) if page.descending else range(count)
        if page.after_id is not None:
            places = places[places.index(_place(page.after_id, completion_id, count)) + 1 :]
        wanted = places[: page.limit]
        first = min(wanted, default=0)
        bodies = await self._store.list_messages(
            owner=owner, completion_id=completion_id, first=first, limit=max(len(wanted), 1)
        )
        messages = [ChatMessage(f"{completion_id}-{place}", bodies[place - first]) for place in wanted]
        return Page(messages, has_more=len(places) > len(wanted))


def _within_bounds(page: Page[ChatCompletion]) -> Page[ChatCompletion]:
    sizes = accumulate(len(completion.body) for completion in page.elements)
    count = max(sum(size <= _MAX_PAGE_CHARACTERS for size in sizes), 1)
    return Page(page.elements[:count], has_more=page.has_more or count < len(page.elements))


def _place(message_id: str, completion_id: str, count: int) -> int:
    """Return the place of the message of this name."""
    digits = message_id.removeprefix(f"{completion_id}-")
    if digits.isdecimal() and digits.isascii() and len(digits) < 10 and int(digits) < count:
        place = int(digits)
        if message_id == f"{completion_id}-{place}":
            return place
    raise PageStartNotFound


def _check_names(completion_id: str, models: Sequence[str]) -> None:
    if len(completion_id) > _MAX_ID_LENGTH:
        raise InvalidArgumentError(f"An id has at most {_MAX_ID_LENGTH} characters.", param="completion.id")
    if len(models) > _MAX_MODELS:
        raise InvalidArgumentError(f"A completion's model has at most {_MAX_MODELS} names.", param="completion.models")


def _check_size(body: str, messages: Sequence[str]) -> None:
    """Hold what is stored below a size that every database takes."""
    if sum(len(text.encode()) for text in (body, *messages)) > MAX_COMPLETION_BYTES:
        raise InvalidArgumentError(
            f"A chat completion and its messages are larger than {MAX_COMPLETION_BYTES} bytes, and cannot be stored.",
            reason=ErrorReason.ERROR_REASON_REQUEST_TOO_LARGE,
        )
