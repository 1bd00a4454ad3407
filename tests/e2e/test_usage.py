"""What a call used appears in `/v1/usage` within two seconds, and what was not answered does not."""

from typing import Any

import httpx
import pytest
from openai import APIError, APIStatusError, AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam

from support.stack import Account, eventually

pytestmark = pytest.mark.e2e

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello"}]


async def usage_of(http: httpx.AsyncClient, account: Account) -> dict[str, dict[str, Any]]:
    """Return what was used today, by model."""
    answer = await http.get("/v1/usage", headers=account.key)
    assert answer.status_code == 200
    return {bucket["model"]: bucket for bucket in answer.json()["data"]}


async def wait_for_requests(http: httpx.AsyncClient, account: Account, model: str, count: int) -> dict[str, Any]:
    """Return what was used of a model once that many calls are in the ledger."""

    async def is_there() -> bool:
        return (await usage_of(http, account)).get(model, {}).get("requests") == count

    await eventually(is_there, within_seconds=2)
    return (await usage_of(http, account))[model]


async def test_usage_is_that_of_the_answers(
    client: AsyncOpenAI, http: httpx.AsyncClient, other_http: httpx.AsyncClient, account: Account
) -> None:
    whole = await client.chat.completions.create(model="ok", messages=HELLO)
    stream = await client.chat.completions.create(
        model="ok", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    last = [chunk async for chunk in stream][-1]
    response = await client.responses.create(model="ok", input="Hello")
    assert whole.usage
    assert last.usage
    assert response.usage

    used = await wait_for_requests(other_http, account, "ok", 3)
    assert used["input_tokens"] == (whole.usage.prompt_tokens + last.usage.prompt_tokens + response.usage.input_tokens)
    assert used["output_tokens"] == (
        whole.usage.completion_tokens + last.usage.completion_tokens + response.usage.output_tokens
    )
    assert set(await usage_of(http, account)) == {"ok"}


async def test_stream_that_did_not_ask_for_usage_is_counted_all_the_same(
    client: AsyncOpenAI, http: httpx.AsyncClient, account: Account
) -> None:
    stream = await client.chat.completions.create(model="ok", messages=HELLO, stream=True)
    words = [chunk async for chunk in stream if chunk.choices and chunk.choices[0].delta.content]
    used = await wait_for_requests(http, account, "ok", 1)
    assert used["output_tokens"] == len(words)


async def test_provider_that_reports_no_usage_is_estimated(
    client: AsyncOpenAI, http: httpx.AsyncClient, account: Account
) -> None:
    await client.chat.completions.create(model="no-usage", messages=HELLO)
    used = await wait_for_requests(http, account, "no-usage", 1)
    assert used["input_tokens"] > 0
    assert used["output_tokens"] > 0


async def test_broken_stream_is_charged_for_what_it_brought(
    client: AsyncOpenAI, http: httpx.AsyncClient, account: Account
) -> None:
    stream = await client.chat.completions.create(model="error-mid-stream", messages=HELLO, stream=True)
    with pytest.raises(APIError):
        async for _ in stream:
            pass
    used = await wait_for_requests(http, account, "error-mid-stream", 1)
    assert 0 < used["output_tokens"] < 20


async def test_call_that_the_provider_refused_is_not_charged(
    client: AsyncOpenAI, http: httpx.AsyncClient, account: Account
) -> None:
    for model in ("status-500", "status-422", "status-429"):
        with pytest.raises(APIStatusError):
            await client.chat.completions.create(model=model, messages=HELLO)
    # The ledger is written in the order of the calls: once this one is there, the others would be.
    await client.chat.completions.create(model="ok", messages=HELLO)
    await wait_for_requests(http, account, "ok", 1)
    assert set(await usage_of(http, account)) == {"ok"}


async def test_usage_of_a_time_without_calls_is_nothing(
    client: AsyncOpenAI, http: httpx.AsyncClient, account: Account
) -> None:
    await client.chat.completions.create(model="ok", messages=HELLO)
    await wait_for_requests(http, account, "ok", 1)
    past = await http.get("/v1/usage", params={"start_time": 0, "end_time": 86_400}, headers=account.key)
    assert past.json()["data"] == []
