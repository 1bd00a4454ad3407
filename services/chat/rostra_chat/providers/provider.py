"""The contract of every provider: a chat completion in OpenAI's words, whole or as a stream."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias

from rostra_chat.catalogue import Model

# An OpenAI chat-completions body, with Rostra's public name of the model.
Body: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Usage:
    """What one call used, counted in tokens.

    Attributes:
        input_tokens: The input, cached tokens included.
        cached_input_tokens: The part of the input that the provider had cached.
        output_tokens: The output, reasoning included.
        reasoning_tokens: The part of the output that was reasoning.
    """

    input_tokens: int = 0
    cached_input_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0


class Frame(NamedTuple):
    r"""One server-sent event of a stream.

    Attributes:
        data: The event's JSON, parsed: a `chat.completion.chunk`.
        raw: The event as it may go to the wire, `data: {...}` and an empty line.
    """

    data: dict[str, Any]
    raw: bytes


class Provider(Protocol):
    """Runs models.

    Every method raises an `AppError` that tells the client what is wrong: the kit's classes and those of
    `rostra_chat.errors`, never an error of the HTTP client's.
    """

    @property
    def name(self) -> str:
        """Return what the provider is called in the catalogue, in metrics and in `owned_by`."""
        ...

    async def complete(self, model: Model, body: Body) -> tuple[dict[str, Any], bytes]:
        """Complete a chat and return OpenAI's `chat.completion`, parsed and as it may go to the wire.

        The `model` in the answer is the public name. Cancelling the call cancels the provider's.
        """
        ...

    def stream(self, model: Model, body: Body) -> AsyncGenerator[list[Frame], None]:
        """Complete a chat and yield the chunks as they come, those that came together in one list; never an empty one.

        The usage chunk is always asked for, whatever `body` says, and is yielded where the provider sends one.
        `[DONE]` is not a frame. Closing the iterator ends the provider's call at once.

        Raises:
            AppError: Before the first frame what is wrong with the call; after it what broke the stream.
        """
        ...

    async def list_models(self) -> list[Model]:
        """Return the models that the provider offers by its own account: no prices, unknown windows."""
        ...
