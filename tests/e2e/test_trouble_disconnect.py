"""A client that leaves ends the provider's call within a second, and pays for what was said until then."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson
import pytest

from support.stack import Account, SharedStack

pytestmark = pytest.mark.e2e

_PATHS = ("/v1/chat/completions", "/v1/responses")
_CUT_SECONDS = 1.0
# Ten seconds of words, fifty in each.
_MODEL = "long-500-20"


@pytest.fixture
async def http(stack: SharedStack, account: Account) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=stack.gateway_urls[0], headers=account.key, timeout=30) as http:
        yield http


def body_for(path: str, *, stream: bool) -> dict[str, Any]:
    """Return a request for a long answer."""
    said: dict[str, Any] = {"input": "Hi"} if path == _PATHS[1] else {"messages": [{"role": "user", "content": "Hi"}]}
    return {"model": _MODEL, "stream": stream, **said}


async def wait_for_cut(stack: SharedStack, cancelled_before: int) -> None:
    """Return when the provider has seen that its caller left, which must be soon."""
    waiting = stack.provider.wait_for_cancelled(cancelled_before + 1, timeout_seconds=_CUT_SECONDS)
    await asyncio.to_thread(stack.run, waiting)


async def settled(http: httpx.AsyncClient) -> dict[str, Any]:
    """Return what the ledger has of the model, once it has anything."""
    started = time.monotonic()
    while not (buckets := (await http.get("/v1/usage")).json()["data"]):
        assert time.monotonic() - started < 10
        await asyncio.sleep(0.05)
    (bucket,) = buckets
    assert bucket["model"] == _MODEL
    return dict(bucket)


@pytest.mark.parametrize("path", _PATHS)
async def test_leaving_a_stream_ends_the_call_and_settles_what_was_said(
    http: httpx.AsyncClient, stack: SharedStack, path: str
) -> None:
    cancelled_before = stack.provider.cancelled
    async with http.stream("POST", path, json=body_for(path, stream=True)) as answer:
        seen = ""
        async for text in answer.aiter_text():
            seen += text
            if "word-10 " in seen:
                break
    await wait_for_cut(stack, cancelled_before)
    bucket = await settled(http)
    assert bucket["requests"] == 1
    assert 10 <= bucket["output_tokens"] <= 400
    assert bucket["input_tokens"] >= 1


async def test_leaving_a_response_stores_what_was_said_as_cancelled(
    http: httpx.AsyncClient, stack: SharedStack
) -> None:
    cancelled_before = stack.provider.cancelled
    async with http.stream("POST", _PATHS[1], json=body_for(_PATHS[1], stream=True)) as answer:
        seen = ""
        async for text in answer.aiter_text():
            seen += text
            if "word-5 " in seen:
                break
    created = next(line for line in seen.splitlines() if line.startswith("data: ")).removeprefix("data: ")
    response_id = orjson.loads(created)["response"]["id"]
    await wait_for_cut(stack, cancelled_before)
    await settled(http)
    stored = (await http.get(f"/v1/responses/{response_id}")).json()
    assert stored["status"] == "cancelled"
    assert stored["output"][0]["content"][0]["text"].startswith("word-1 word-2 word-3 word-4 word-5 ")


@pytest.mark.parametrize("path", _PATHS)
async def test_leaving_before_a_whole_answer_ends_the_call(
    http: httpx.AsyncClient, stack: SharedStack, path: str
) -> None:
    cancelled_before, chats_before = stack.provider.cancelled, len(stack.provider.chats)
    asking = asyncio.create_task(http.post(path, json=body_for(path, stream=False)))
    await asyncio.to_thread(stack.run, stack.provider.wait_for_chats(chats_before + 1))
    asking.cancel()
    await asyncio.wait({asking})
    await wait_for_cut(stack, cancelled_before)
    bucket = await settled(http)
    assert bucket["requests"] == 1
    assert bucket["input_tokens"] >= 1
    assert bucket["output_tokens"] <= 400


@pytest.mark.parametrize("path", _PATHS)
async def test_leaving_gives_back_the_tokens_that_were_not_used(
    http: httpx.AsyncClient, stack: SharedStack, account: Account, path: str
) -> None:
    created = await http.post("/v1/api_keys", json={"limits": {"tokens_per_minute": 6000}})
    key = {"authorization": f"Bearer {created.json()['value']}"}
    bound = {"max_output_tokens": 5000} if path == _PATHS[1] else {"max_tokens": 5000}
    cancelled_before = stack.provider.cancelled
    async with http.stream("POST", path, json=body_for(path, stream=True) | bound, headers=key) as answer:
        assert int(answer.headers["x-ratelimit-remaining-tokens"]) < 1000
        await anext(answer.aiter_raw())
    await wait_for_cut(stack, cancelled_before)
    await settled(http)
    probe = body_for(_PATHS[0], stream=False) | {"model": "ok", "max_tokens": 1}
    answer = await http.post(_PATHS[0], json=probe, headers=key)
    assert int(answer.headers["x-ratelimit-remaining-tokens"]) > 5000
