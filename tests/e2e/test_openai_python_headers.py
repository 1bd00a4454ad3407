"""The headers that every answer has, as the SDK's raw responses show them."""

import re
from collections.abc import Mapping

import pytest
from openai import AsyncOpenAI, BadRequestError
from openai.types.chat import ChatCompletionMessageParam

from support.stack import Account, SharedStack, create_key, sdk

pytestmark = pytest.mark.e2e

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello"}]
GO_DURATION = re.compile(r"(\d+h)?(\d+m)?(\d+(\.\d+)?s)?(\d+ms)?")


def assert_limits(headers: Mapping[str, str], name: str) -> None:
    """Check the three headers of one limit."""
    limit, remaining = (int(headers[f"x-ratelimit-{kind}-{name}"]) for kind in ("limit", "remaining"))
    assert 0 <= remaining < limit
    reset = headers[f"x-ratelimit-reset-{name}"]
    assert reset
    assert GO_DURATION.fullmatch(reset)


async def test_completion_has_all_headers(client: AsyncOpenAI) -> None:
    raw = await client.chat.completions.with_raw_response.create(model="ok", messages=HELLO)
    assert raw.headers["x-request-id"] == raw.request_id
    assert int(raw.headers["openai-processing-ms"]) >= 0
    assert raw.headers["openai-version"] == "2020-10-01"
    assert_limits(raw.headers, "requests")
    assert_limits(raw.headers, "tokens")
    assert raw.parse().choices


async def test_stream_has_all_headers(client: AsyncOpenAI) -> None:
    raw = await client.chat.completions.with_raw_response.create(model="ok", messages=HELLO, stream=True)
    assert raw.headers["content-type"].partition(";")[0] == "text/event-stream"
    assert raw.headers["cache-control"] == "no-cache"
    assert raw.headers["x-request-id"].startswith("req_")
    assert int(raw.headers["openai-processing-ms"]) >= 0
    assert_limits(raw.headers, "requests")
    assert_limits(raw.headers, "tokens")
    assert [chunk async for chunk in raw.parse()]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_response_has_all_headers(client: AsyncOpenAI, stream: bool) -> None:
    async with client.responses.with_streaming_response.create(model="ok", input="Hello", stream=stream) as raw:
        assert raw.headers["x-request-id"].startswith("req_")
        assert int(raw.headers["openai-processing-ms"]) >= 0
        assert_limits(raw.headers, "requests")
        assert_limits(raw.headers, "tokens")
        assert await raw.read()


async def test_other_answers_and_errors_have_the_limit_of_requests(client: AsyncOpenAI) -> None:
    listed = await client.models.with_raw_response.list()
    assert_limits(listed.headers, "requests")
    with pytest.raises(BadRequestError) as raised:
        await client.chat.completions.create(model="ok", messages=[])
    assert_limits(raised.value.response.headers, "requests")
    assert raised.value.request_id != listed.request_id


async def test_remaining_requests_count_down_over_all_gateways(stack: SharedStack, account: Account) -> None:
    key = create_key(stack.gateway_urls[0], account, requests_per_minute=5)
    remaining = []
    for url in (*stack.gateway_urls, *stack.gateway_urls):
        async with sdk(url, key) as client:
            answer = await client.models.with_raw_response.list()
        assert answer.headers["x-ratelimit-limit-requests"] == "5"
        remaining.append(int(answer.headers["x-ratelimit-remaining-requests"]))
    assert remaining == [4, 3, 2, 1]


async def test_remaining_tokens_shrink_by_what_was_used(stack: SharedStack, account: Account) -> None:
    key = create_key(stack.gateway_urls[0], account, tokens_per_minute=10_000)
    async with sdk(stack.gateway_urls[0], key) as client:
        left = []
        for _ in range(2):
            raw = await client.chat.completions.with_raw_response.create(model="ok", messages=HELLO, max_tokens=50)
            assert raw.headers["x-ratelimit-limit-tokens"] == "10000"
            left.append(int(raw.headers["x-ratelimit-remaining-tokens"]))
    assert 9_000 < left[1] < left[0] < 10_000
