"""The provider of the model `echo`."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Any

import orjson

from rostra_chat.catalogue import Model
from rostra_chat.chat_request import natural
from rostra_chat.continuation import broken_off
from rostra_chat.providers.echo.reply import reply_to
from rostra_chat.providers.echo.wire import Answer
from rostra_chat.providers.echo.wording import word
from rostra_chat.providers.provider import Body, Frame
from rostra_chat.tokens import estimate_request_tokens
from rostra_kit.errors import InvalidArgumentError

_CREATE_TIME = datetime(2026, 11, 1, tzinfo=UTC)
_MAX_CHOICES = 128
_UNBOUNDED_TOKENS = 16_384
# Words that have no pause between them go out together, as those of a fast provider do.
_TURNS_AT_ONCE = 64


class EchoProvider:
    """Answers by itself, as OpenAI would on the wire.

    Args:
        word_delay_seconds: The pause before each word of a stream.
    """

    name = "echo"

    def __init__(self, *, word_delay_seconds: float) -> None:
        self._word_delay_seconds = word_delay_seconds

    async def complete(self, model: Model, body: Body) -> tuple[dict[str, Any], bytes]:
        """Complete a chat: see `Provider`."""
        completion = _answer(model, body).completion()
        return completion, orjson.dumps(completion)

    async def stream(self, model: Model, body: Body) -> AsyncGenerator[list[Frame], None]:
        """Complete a chat and yield its chunks, word by word: see `Provider`."""
        together: list[Frame] = []
        turns_at_once = 1 if self._word_delay_seconds else _TURNS_AT_ONCE
        for number, turn in enumerate(_answer(model, body).turns()):
            if number and number % turns_at_once == 0:
                yield together
                together = []
                await asyncio.sleep(self._word_delay_seconds)
            together += turn
        yield together

    async def list_models(self) -> list[Model]:
        """Return `echo`: see `Provider`."""
        return [Model(id="echo", provider=self.name, upstream_name="echo", create_time=_CREATE_TIME)]


def _answer(model: Model, body: Body) -> Answer:
    choices = natural(body, "n", least=1) or 1
    if choices > _MAX_CHOICES:
        raise InvalidArgumentError(f"Invalid value for 'n': must be at most {_MAX_CHOICES}.", param="n")
    requested = natural(body, "max_completion_tokens") or natural(body, "max_tokens")
    most = model.max_output_tokens or _UNBOUNDED_TOKENS
    question, said = broken_off(body)
    wording = word(reply_to(question).after(said), body, max_tokens=min(requested or most, most))
    return Answer(model=model.id, wording=wording, choices=choices, input_tokens=estimate_request_tokens(body))
