"""Any server that speaks OpenAI's chat completions: OpenAI itself, vLLM, Ollama and many more."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, Self

import aiohttp
import orjson
from pydantic import SecretStr

from rostra_chat.catalogue import Model
from rostra_chat.chat_request import encode_json
from rostra_chat.errors import ModelNotFound, ProviderError
from rostra_chat.providers.chunk_stream import ChunkStream
from rostra_chat.providers.openai_errors import answer_error, could_not_connect, transport_error
from rostra_chat.providers.patient_reader import PatientReader
from rostra_chat.providers.provider import Body, Frame
from rostra_chat.settings import ProviderSettings

OPENAI_BASE_URL = "https://api.openai.com/v1"

# Servers such as uvicorn and Node close what was idle for 5 s. To be first means hardly ever to write to a connection
# that is being closed; that matters, because a call cannot be repeated when nobody knows whether it began.
_KEEP_ALIVE_SECONDS = 4.0
# The connection can be used again when it was read to its end, which follows [DONE] at once.
_LAST_BYTES_SECONDS = 0.05
_MAX_ANSWER_BYTES = 48 * 1024 * 1024
_OK = 200


class OpenAIProvider:
    """Calls an OpenAI-compatible server and passes its bytes on.

    The `model` in an answer is what the server says it ran, as with OpenAI's own aliases.

    Args:
        session: Makes the calls; it carries the key, and the time that a connection may take.
        base_url: The server's address, `/v1` included.
        settings: How long to wait.
        on_retry: Called when a request is sent once more.
    """

    name = "openai"

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        base_url: str,
        settings: ProviderSettings,
        on_retry: Callable[[], None] = lambda: None,
    ) -> None:
        self._session = session
        self._base_url = base_url.rstrip("/")
        self._settings = settings
        self._on_retry = on_retry

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        *,
        base_url: str | None,
        api_key: SecretStr | None,
        settings: ProviderSettings,
        on_retry: Callable[[], None] = lambda: None,
    ) -> AsyncIterator[Self]:
        """Keep a pool of connections while the provider is open."""
        headers = {"Content-Type": "application/json"}
        if api_key:
            headers["Authorization"] = f"Bearer {api_key.get_secret_value()}"
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=settings.max_connections, keepalive_timeout=_KEEP_ALIVE_SECONDS),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=settings.connect_timeout_seconds),
            headers=headers,
            cookie_jar=aiohttp.DummyCookieJar(),
        ) as session:
            yield cls(session, base_url=base_url or OPENAI_BASE_URL, settings=settings, on_retry=on_retry)

    async def complete(self, model: Model, body: Body) -> tuple[dict[str, Any], bytes]:
        """Complete a chat: see `Provider`."""
        data = encode_json({**body, "model": model.upstream_name, "stream": False})
        with _translated_errors():
            async with asyncio.timeout(self._settings.answer_timeout_seconds):
                async with self._answer("POST", "/chat/completions", data, model_id=model.id) as response:
                    raw = await _read_whole(response)
        return _parsed(raw, required="choices"), raw

    async def stream(self, model: Model, body: Body) -> AsyncGenerator[list[Frame], None]:
        """Complete a chat and yield its chunks: see `Provider`."""
        options = body.get("stream_options")
        with_usage = {**(options if isinstance(options, Mapping) else {}), "include_usage": True}
        data = encode_json({**body, "model": model.upstream_name, "stream": True, "stream_options": with_usage})
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._settings.first_byte_timeout_seconds
        with _translated_errors():
            async with self._answer(
                "POST", "/chat/completions", data, model_id=model.id, deadline=deadline
            ) as response:
                chunks = ChunkStream()
                with closing(PatientReader(response.content)) as reader:
                    while not chunks.is_ended:
                        received = await reader.read(deadline=deadline)
                        if frames := chunks.feed(received):
                            yield frames
                            deadline = loop.time() + self._settings.idle_timeout_seconds
                chunks.raise_failure()
                await _read_last_bytes(response)

    async def list_models(self) -> list[Model]:
        """Return the models that the server lists: see `Provider`."""
        try:
            with _translated_errors():
                async with self._answer("GET", "/models", None, model_id="") as response:
                    raw = await _read_whole(response)
        except ModelNotFound as error:
            raise ProviderError("The model's provider does not list its models.") from error
        listed = _parsed(raw, required="data")["data"]
        return [_described(entry, provider=self.name) for entry in listed if _is_model(entry)]

    @asynccontextmanager
    async def _answer(
        self, method: str, path: str, data: bytes | None, *, model_id: str, deadline: float | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Call the server and yield its answer, whose body is not read yet; leaving early ends the call.

        Raises:
            AppError: The answer has an error status.
        """
        async with asyncio.timeout_at(deadline):
            response = await self._send(method, path, data)
        async with response:
            if response.status != _OK:
                async with asyncio.timeout_at(deadline):
                    told = await _read_whole(response)
                raise answer_error(response.status, response.headers, told, model_id=model_id)
            yield response

    async def _send(self, method: str, path: str, data: bytes | None) -> aiohttp.ClientResponse:
        """Send a request, a second time if the first found its connection closed and cannot have arrived whole."""
        url, tracker = self._base_url + path, aiohttp.UploadTracker()
        try:
            return await self._session.request(method, url, data=data, allow_redirects=False, upload_tracker=tracker)
        except aiohttp.ClientConnectionError as error:
            if could_not_connect(error) or tracker.bytes_written:
                raise
        self._on_retry()
        return await self._session.request(method, url, data=data, allow_redirects=False)


@contextmanager
def _translated_errors() -> Iterator[None]:
    try:
        yield
    except (aiohttp.ClientError, OSError) as error:
        raise transport_error(error) from error


async def _read_whole(response: aiohttp.ClientResponse) -> bytes:
    parts = []
    size = 0
    async for part in response.content.iter_any():
        size += len(part)
        if size > _MAX_ANSWER_BYTES:
            raise ProviderError("The model's provider sent an answer that is too large.")
        parts.append(part)
    return b"".join(parts)


async def _read_last_bytes(response: aiohttp.ClientResponse) -> None:
    if not response.content.at_eof():
        with suppress(TimeoutError, aiohttp.ClientError):
            async with asyncio.timeout(_LAST_BYTES_SECONDS):
                await response.content.readany()


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
