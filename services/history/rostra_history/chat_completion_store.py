"""What keeping stored chat completions asks of a database, beside what `rostra_history.store` says for all stores."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from rostra_history.domain import Page, PageRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatCompletion:
    """An answer that its client asked to be stored.

    Attributes:
        id: The name that the client was told; another owner may have the same one.
        models: The names of its model, by which lists find it.
        metadata: The client's own pairs.
        body: OpenAI's `chat.completion` object as JSON text, without `metadata`.
        message_count: The number of messages that it was asked with.
        create_time_us: When it was stored.
    """

    id: str
    owner: str
    models: Sequence[str]
    metadata: Mapping[str, str]
    body: str
    message_count: int
    create_time_us: int

    @property
    def tags(self) -> list[str]:
        """Return all tags by which lists find it."""
        return tags_of(self.models, self.metadata)


class ChatCompletionStore(Protocol):
    """Keeps chat completions, each with the messages that it was asked with."""

    async def create(self, completion: ChatCompletion, messages: Sequence[str]) -> None:
        """Store a completion with its messages; one that has the same body and is there already stays as it is.

        The completion is seen with all of its messages or not at all.

        Raises:
            AlreadyExistsError: The owner has another completion of this name.
        """

    async def get(self, *, owner: str, completion_id: str) -> ChatCompletion:
        """Return the completion, or raise `ChatCompletionNotFound`."""

    async def list_page(self, *, owner: str, page: PageRequest, tags: Sequence[str] = ()) -> Page[ChatCompletion]:
        """Return a page of the owner's completions that have all of `tags`, by the time they were stored, then id.

        Any completion of the owner's serves as `after_id`: what a client pages through may lose a tag meanwhile.
        """

    async def update(self, *, owner: str, completion_id: str, metadata: Mapping[str, str]) -> ChatCompletion:
        """Replace the metadata, and the tags with it, and return the outcome, or raise `ChatCompletionNotFound`."""

    async def delete(self, *, owner: str, completion_id: str) -> None:
        """Delete the completion with its messages, or raise `ChatCompletionNotFound`."""

    async def list_messages(self, *, owner: str, completion_id: str, first: int, limit: int) -> list[str]:
        """Return up to `limit` messages from the place `first` on, in order, or raise `ChatCompletionNotFound`."""


def tags_of(models: Sequence[str], metadata: Mapping[str, str]) -> list[str]:
    """Return a tag for each name of a model and for each pair.

    Tags are digests because an index has little room: Amazon DocumentDB's 2,048 bytes for a whole entry, of which the
    value of one pair could fill all.
    """
    pairs = [_digest("metadata", key, value) for key, value in metadata.items()]
    return pairs + [_digest("model", name) for name in dict.fromkeys(models)]


def _digest(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
