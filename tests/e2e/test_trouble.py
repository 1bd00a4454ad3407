"""What a client meets when the provider is in trouble: a status before the first byte, an error event after it."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import orjson
import pytest
import pytest_asyncio

from support.openai_error import refusal
from support.provider import ScriptedProvider
from support.provider_script import FAULT_MODELS, GOOD_MODELS
from support.stack import Account, create_key, own_stack, register

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

_IMPATIENT = {
    "ROSTRA_CHAT_PROVIDER__FIRST_BYTE_TIMEOUT_SECONDS": "1",
    "ROSTRA_CHAT_PROVIDER__IDLE_TIMEOUT_SECONDS": "1",
    "ROSTRA_CHAT_PROVIDER__ANSWER_TIMEOUT_SECONDS": "1",
}
_OTHER_FAULTS = ("status-400-context", "status-429-quota")
_MOST_TOKENS = 3000
_PATHS = ("/v1/chat/completions", "/v1/responses")

# Whatever is wrong before anything was said: what the client is told, whether or not it asked for a stream.
_REFUSALS = {
    "status-400": (400, "provider_rejected"),
    "status-400-context": (400, "context_length_exceeded"),
    "status-401": (503, "provider_unauthorized"),
    "status-404": (404, "model_not_found"),
    "status-422": (422, "unprocessable"),
    "status-429": (429, "provider_rate_limited"),
    "status-429-quota": (503, "provider_unavailable"),
    "status-500": (500, "provider_error"),
    "status-503": (503, "provider_unavailable"),
    "not-json": (500, "provider_error"),
    "stall-first-byte": (504, "provider_timeout"),
    "stall-after-headers": (504, "provider_timeout"),
    "close-first-byte": (500, "provider_error"),
}
_RETRY_AFTER = {"status-429": "7", "status-503": "1"}
# What breaks an answer that has begun; a client that waits for the whole of it is told by a status.
_BREAKS = {
    "stall-mid-stream": (504, "provider_timeout"),
    "broken-chunk": (500, "provider_error"),
    "close-mid-stream": (500, "provider_error"),
    "close-mid-body": (500, "provider_error"),
    "error-mid-stream": (500, "provider_error"),
}


class Client:
    """Somebody who asks models for answers that may come to `_MOST_TOKENS` tokens."""

    def __init__(self, base_url: str, account: Account, api_key: str) -> None:
        headers = {"authorization": f"Bearer {api_key}"}
        self.http = httpx.AsyncClient(base_url=base_url, headers=headers, timeout=20)
        self._session = account.session

    async def ask(self, path: str, model: str, *, stream: bool) -> httpx.Response:
        """Return the answer, read to its end."""
        body: dict[str, Any] = {"model": model, "stream": stream}
        if path == _PATHS[0]:
            body |= {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": _MOST_TOKENS}
        else:
            body |= {"input": "Hi", "max_output_tokens": _MOST_TOKENS}
        return await self.http.post(path, json=body)

    async def remaining_tokens(self) -> int:
        """Return what is left of this minute's tokens before a call that is nearly free."""
        body = {"model": "echo", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
        answer = await self.http.post(_PATHS[0], json=body)
        assert answer.status_code == 200, answer.text
        return int(answer.headers["x-ratelimit-remaining-tokens"]) + int(answer.json()["usage"]["prompt_tokens"]) + 1

    async def usage(self, *models: str) -> dict[str, Any]:
        """Return the buckets of the ledger by model, once all of `models` are in it."""
        for _ in range(200):
            answer = await self.http.get("/v1/usage", headers=self._session)
            buckets = {bucket["model"]: bucket for bucket in answer.json()["data"]}
            if set(models) <= set(buckets):
                return buckets
            await asyncio.sleep(0.05)
        message = f"the ledger has {sorted(buckets)} after 10 s, not {models}"
        raise AssertionError(message)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def base_url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """Yield the address of a gateway whose stack does not wait long for its provider."""
    data = tmp_path_factory.mktemp("impatient")
    async with AsyncExitStack() as exit_stack:
        models = (*GOOD_MODELS, *FAULT_MODELS, *_OTHER_FAULTS)
        provider = await exit_stack.enter_async_context(ScriptedProvider(models=models))
        stack = await exit_stack.enter_async_context(own_stack(data, provider=provider, environment=_IMPATIENT))
        yield stack.gateway_urls[0]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(base_url: str) -> AsyncIterator[Client]:
    """Yield the client that all tests may use that do not look at what was used."""
    async with new_client(base_url) as client:
        yield client


@asynccontextmanager
async def new_client(base_url: str) -> AsyncIterator[Client]:
    """Yield somebody new, who may use 60,000 tokens a minute."""
    account = await asyncio.to_thread(register, base_url)
    key = await asyncio.to_thread(create_key, base_url, account, tokens_per_minute=60_000)
    client = Client(base_url, account, key)
    async with client.http:
        yield client


def events(answer: httpx.Response) -> list[dict[str, Any]]:
    """Return what the events of a stream hold, without [DONE]."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    lines = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: ")]
    return [orjson.loads(line) for line in lines if line != "[DONE]"]


@pytest.mark.parametrize("model", _REFUSALS)
async def test_trouble_before_the_first_byte_is_a_status(client: Client, model: str) -> None:
    started = time.monotonic()
    ways = [(path, stream) for path in _PATHS for stream in (False, True)]
    answers = await asyncio.gather(*(client.ask(path, model, stream=stream) for path, stream in ways))
    assert time.monotonic() - started < 5
    for answer in answers:
        status, code = _REFUSALS[model]
        assert refusal(answer, status)["code"] == code
        assert answer.headers.get("retry-after") == _RETRY_AFTER.get(model)
        # Where no time is told the official SDKs would try again by themselves, which cannot help.
        hopeless = status in (503, 504) and model not in _RETRY_AFTER
        assert answer.headers.get("x-should-retry") == ("false" if hopeless else None)


@pytest.mark.parametrize(("model", "param"), [("status-400", "temperature"), ("status-422", "top_p")])
async def test_refused_parameter_is_named(client: Client, model: str, param: str) -> None:
    for path in _PATHS:
        assert refusal(await client.ask(path, model, stream=False))["param"] == param


async def test_provider_credentials_are_never_told(client: Client) -> None:
    answer = await client.ask(_PATHS[0], "status-401", stream=False)
    assert "sk-" not in answer.text
    assert "API key" not in answer.text


@pytest.mark.parametrize("model", _BREAKS)
async def test_whole_answer_that_breaks_is_a_status(client: Client, model: str) -> None:
    status, code = _BREAKS[model]
    for answer in await asyncio.gather(*(client.ask(path, model, stream=False) for path in _PATHS)):
        assert refusal(answer, status)["code"] == code


@pytest.mark.parametrize("model", _BREAKS)
async def test_chat_stream_that_breaks_ends_with_an_error(client: Client, model: str) -> None:
    started = time.monotonic()
    answer = await client.ask(_PATHS[0], model, stream=True)
    assert time.monotonic() - started < 5
    *chunks, last = events(answer)
    said = "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])
    assert said.startswith("The rostra carried ")
    assert set(last["error"]) == {"message", "type", "param", "code"}
    assert last["error"]["code"] == _BREAKS[model][1]
    assert "[DONE]" not in answer.text


@pytest.mark.parametrize("model", _BREAKS)
async def test_response_stream_that_breaks_ends_as_failed(client: Client, model: str) -> None:
    started = time.monotonic()
    told = events(await client.ask(_PATHS[1], model, stream=True))
    assert time.monotonic() - started < 5
    assert [event["sequence_number"] for event in told] == list(range(len(told)))
    assert told[0]["type"] == "response.created"
    assert told[-1]["type"] == "response.failed"
    failed = told[-1]["response"]
    assert failed["status"] == "failed"
    assert failed["error"]["code"] == "server_error"
    assert failed["error"]["message"]
    stored = (await client.http.get(f"/v1/responses/{failed['id']}")).json()
    assert (stored["status"], stored["error"]) == ("failed", failed["error"])


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("path", _PATHS)
async def test_calls_that_never_began_cost_nothing(base_url: str, path: str, stream: bool) -> None:
    async with new_client(base_url) as client:
        await asyncio.gather(*(client.ask(path, model, stream=stream) for model in _REFUSALS))
        assert await client.remaining_tokens() > 60_000 - 500
        assert set(await client.usage("echo")) == {"echo"}


@pytest.mark.parametrize("path", _PATHS)
async def test_what_a_broken_stream_produced_is_settled_and_no_more(base_url: str, path: str) -> None:
    async with new_client(base_url) as client:
        await asyncio.gather(*(client.ask(path, model, stream=True) for model in _BREAKS))
        assert await client.remaining_tokens() > 60_000 - 500
        usage = await client.usage(*_BREAKS)
    for model in _BREAKS:
        assert usage[model]["requests"] == 1
        assert 3 <= usage[model]["output_tokens"] <= 20
        assert 1 <= usage[model]["input_tokens"] <= 20
