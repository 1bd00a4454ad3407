"""What is asked of whoever keeps chat completions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCompletion:
    """A completion that its client asked to be stored.

    Attributes:
        model: The name of the model that the client asked for.
        metadata: The client's own pairs.
        messages: OpenAI's messages, as the client sent them.
        completion: OpenAI's `chat.completion`, as it was answered; its `id` is unique among the owner's.
    """

    model: str
    metadata: Mapping[str, str]
    messages: Sequence[Any]
    completion: Mapping[str, Any]


class CompletionStore(Protocol):
    """Keeps chat completions, on behalf of the caller of the request under way."""

    async def create(self, stored: StoredCompletion) -> None:
        """Store a completion; when this returns, it can be read through any replica.

        Raises:
            InvalidArgumentError: It is larger than can be stored.
            UnavailableError: It could not be stored, for whatever other reason.
        """
