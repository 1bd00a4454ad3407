"""Requests that are sent again with their `Idempotency-Key`: made and paid once, through whichever gateway."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from openai import AsyncOpenAI, ConflictError, UnprocessableEntityError

from support.provider import ScriptedProvider
from support.provider_reply import numbered_text
from support.stack import Account, Journal, SharedStack, own_stack, register

pytestmark = pytest.mark.e2e

_SLOW = "long-500-20"
_CHAT = "/v1/chat/completions"


def keyed() -> dict[str, Any]:
    """Return the option that names a request, for the SDK."""
    return {"extra_headers": {"Idempotency-Key": str(uuid4())}}


def chat(model: str, *, stream: bool = False) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "Hi"}], "stream": stream}


@pytest.mark.parametrize("stream", [False, True])
async def test_twenty_requests_at_once_are_answered_by_one_run(
    stack: SharedStack, account: Account, journal: Journal, stream: bool
) -> None:
    headers = account.key | {"idempotency-key": str(uuid4())}
    async with httpx.AsyncClient(headers=headers, timeout=30) as http:
        urls = [f"{url}{_CHAT}" for url in stack.gateway_urls] * 10
        answers = await asyncio.gather(*(http.post(url, json=chat("ok", stream=stream)) for url in urls))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert Counter(answer.headers.get("idempotent-replayed") for answer in answers) == {"true": 19, None: 1}
    assert len(journal.bodies) == 1


async def test_official_sdk_has_its_answers_again(
    client: AsyncOpenAI, other_client: AsyncOpenAI, journal: Journal
) -> None:
    key = keyed()
    response = await client.responses.create(model="ok", input="Hi", **key)
    assert await other_client.responses.create(model="ok", input="Hi", **key) == response
    assert len(journal.bodies) == 1
    with pytest.raises(UnprocessableEntityError) as refused:
        await other_client.responses.create(model="ok", input="Something else", **key)
    assert refused.value.code == "idempotency_key_reused"
    key = keyed()
    conversation = await client.conversations.create(metadata={"a": "b"}, **key)
    assert await other_client.conversations.create(metadata={"a": "b"}, **key) == conversation


async def test_background_stream_that_was_cut_is_not_made_again(
    client: AsyncOpenAI, other_client: AsyncOpenAI, journal: Journal
) -> None:
    request: dict[str, Any] = {"model": _SLOW, "input": "Hi", "background": True, "stream": True} | keyed()
    stream = await client.responses.create(**request)
    created = await anext(stream)
    await stream.close()
    again = [event async for event in await other_client.responses.create(**request)]
    assert again[0] == created
    assert [event.sequence_number for event in again] == list(range(len(again)))
    assert again[-1].type == "response.completed"
    assert again[-1].response.output[0].content[0].text == numbered_text(500)
    assert len(journal.bodies) == 1


async def test_api_key_is_not_created_twice(http: httpx.AsyncClient, account: Account) -> None:
    headers = account.session | {"idempotency-key": str(uuid4())}
    answers = [await http.post("/v1/api_keys", json={"name": "once"}, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 409]
    assert answers[1].json()["error"]["code"] == "idempotency_answer_not_kept"
    listed = (await http.get("/v1/api_keys", headers=account.session)).json()["data"]
    assert [key["name"] for key in listed].count("once") == 1


async def test_key_of_a_gateway_that_is_killed_is_free_after_its_lease(tmp_path: Path) -> None:
    async with AsyncExitStack() as exit_stack:
        provider = await exit_stack.enter_async_context(ScriptedProvider(models=("ok", _SLOW)))
        environment = {
            "ROSTRA_GATEWAY_IDEMPOTENCY__LEASE_SECONDS": "2",
            "ROSTRA_GATEWAY_IDEMPOTENCY__WAIT_SECONDS": "0.5",
        }
        stack = await exit_stack.enter_async_context(
            own_stack(tmp_path, provider=provider, gateways=2, environment=environment)
        )
        key = register(stack.gateway_urls[0]).api_key
        client, other_client = [
            await exit_stack.enter_async_context(
                AsyncOpenAI(base_url=f"{url}/v1", api_key=key, max_retries=retries, timeout=30)
            )
            for url, retries in zip(stack.gateway_urls, (0, 5), strict=True)
        ]
        request: dict[str, Any] = {"model": _SLOW, "messages": [{"role": "user", "content": "Hi"}]} | keyed()
        lost = asyncio.create_task(client.chat.completions.create(**request))
        await provider.wait_for_chats(1)
        with pytest.raises(ConflictError) as refused:
            await other_client.with_options(max_retries=0).chat.completions.create(**request)
        assert refused.value.code == "idempotency_key_in_use"
        await stack.children["gateway-1"].kill()
        # It is told to come back in five seconds, and does so by itself.
        answer = await other_client.chat.completions.create(**request)
        assert answer.choices[0].message.content == numbered_text(500)
        assert len(provider.chats) == 2
        await asyncio.wait({lost})
        assert lost.exception() is not None
