"""Any server that speaks OpenAI's chat completions: OpenAI itself, vLLM, Ollama and many more."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, Self

import orjson
from pydantic import SecretStr

from rostra_chat.catalogue import Model
from rostra_chat.chat_request import encode_json
from rostra_chat.errors import ModelNotFound, ProviderError
from rostra_chat.providers.chunk_stream import ChunkStream
from rostra_chat.providers.http.client import Answer, HttpClient
from rostra_chat.providers.http.errors import HttpError
from rostra_chat.providers.openai_errors import answer_error, transport_error
from rostra_chat.providers.provider import Body, Frame
from rostra_chat.settings import ProviderSettings

OPENAI_BASE_URL = "https://api.openai.com/v1"

# The connection can be used again when it was read to its end, which follows [DONE] at once.
_LAST_BYTES_SECONDS = 0.05
_MAX_ANSWER_BYTES = 48 * 1024 * 1024
_OK = 200


class OpenAIProvider:
    """Calls an OpenAI-compatible server and passes its bytes on.

    The `model` in an answer is what the server says it ran, as with OpenAI's own aliases.

    Args:
        http: Makes the calls; it carries the key.
        settings: How long to wait.
    """

    name = "openai"

    def __init__(self, http: HttpClient, *, settings: ProviderSettings) -> None:
        self._http = http
        self._settings = settings

    @classmethod
    @asynccontextmanager
    async def open(
        cls, *, base_url: str | None, api_key: SecretStr | None, settings: ProviderSettings
    ) -> AsyncIterator[Self]:
        """Keep connections while the provider is open."""
        headers = {"content-type": "application/json", "user-agent": "rostra"}
        if api_key:
            headers["authorization"] = f"Bearer {api_key.get_secret_value()}"
        async with HttpClient(
            base_url or OPENAI_BASE_URL,
            headers=headers,
            max_connections=settings.max_connections,
            connect_timeout_seconds=settings.connect_timeout_seconds,
        ) as http:
            yield cls(http, settings=settings)

    async def complete(self, model: Model, body: Body) -> tuple[dict[str, Any], bytes]:
        """Complete a chat: see `Provider`."""
        data = encode_json({**body, "model": model.upstream_name, "stream": False})
        deadline = asyncio.get_running_loop().time() + self._settings.answer_timeout_seconds
        with (
            _translated_errors(),
            await self._call("POST", "/chat/completions", data, model_id=model.id, deadline=deadline) as answer,
        ):
            raw = await _read_whole(answer, deadline)
        return _parsed(raw, required="choices"), raw

    async def stream(self, model: Model, body: Body) -> AsyncGenerator[list[Frame], None]:
        """Complete a chat and yield its chunks: see `Provider`."""
        options = body.get("stream_options")
        with_usage = {**(options if isinstance(options, Mapping) else {}), "include_usage": True}
        data = encode_json({**body, "model": model.upstream_name, "stream": True, "stream_options": with_usage})
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._settings.first_byte_timeout_seconds
        with (
            _translated_errors(),
            await self._call("POST", "/chat/completions", data, model_id=model.id, deadline=deadline) as answer,
        ):
            chunks = ChunkStream()
            while not chunks.is_ended:
                received = await answer.read(deadline=deadline)
                if frames := chunks.feed(received):
                    yield frames
                    deadline = loop.time() + self._settings.idle_timeout_seconds
            chunks.raise_failure()
            with suppress(TimeoutError, HttpError):
                await answer.read(deadline=loop.time() + _LAST_BYTES_SECONDS)

    async def list_models(self) -> list[Model]:
        """Return the models that the server lists: see `Provider`."""
        deadline = asyncio.get_running_loop().time() + self._settings.answer_timeout_seconds
        try:
            with (
                _translated_errors(),
                await self._call("GET", "/models", None, model_id="", deadline=deadline) as answer,
            ):
                raw = await _read_whole(answer, deadline)
        except ModelNotFound as error:
            raise ProviderError("The model's provider does not list its models.") from error
        listed = _parsed(raw, required="data")["data"]
        return [_described(entry, provider=self.name) for entry in listed if _is_model(entry)]

    async def _call(self, method: str, path: str, data: bytes | None, *, model_id: str, deadline: float) -> Answer:
        """Call the server and return its answer, whose body is not read yet; closing it early ends the call.

        Raises:
            AppError: The answer has an error status.
        """
        answer = await self._http.call(method, path, data, deadline=deadline)
        if answer.status == _OK:
            return answer
        with answer:
            told = await _read_whole(answer, deadline)
        raise answer_error(answer.status, answer.headers, told, model_id=model_id)


@contextmanager
def _translated_errors() -> Iterator[None]:
    try:
        yield
    except (HttpError, TimeoutError) as error:
        raise transport_error(error) from error


async def _read_whole(answer: Answer, deadline: float) -> bytes:
    parts = []
    size = 0
    while part := await answer.read(deadline=deadline):
        size += len(part)
        if size > _MAX_ANSWER_BYTES:
            raise ProviderError("The model's provider sent an answer that is too large.")
        parts.append(part)
    return b"".join(parts)


def _parsed(raw: bytes, *, required: str) -> dict[str, Any]:
    """Return an answer's JSON object, whose member `required` is a list."""
    try:
        answer = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise ProviderError("The model's provider sent an answer that is not JSON.") from error
    if not isinstance(answer, dict) or not isinstance(answer.get(required), list):
        raise ProviderError("The model's provider sent an answer that cannot be understood.")
    return answer


def _is_model(entry: object) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("id"), str) and bool(entry["id"])


def _described(entry: Mapping[str, Any], *, provider: str) -> Model:
    created = entry.get("created")
    seconds = created if isinstance(created, int) and 0 <= created < 2**33 else 0
    return Model(
        id=entry["id"],
        provider=provider,
        upstream_name=entry["id"],
        create_time=datetime.fromtimestamp(seconds, UTC),
    )
