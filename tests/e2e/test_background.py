"""Responses in the background run on without their client, and are followed from any point through any gateway.

Events are `Any` here: the SDK's type of them is a union of sixty that has no `response.cancelled`.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import APIError, AsyncOpenAI, BadRequestError, NotFoundError, omit
from openai.types.responses import Response

from support.provider import ScriptedProvider
from support.provider_reply import numbered_text
from support.stack import Account, SharedStack, own_stack, register, sdk

pytestmark = pytest.mark.e2e

# A second of words, four seconds, and ten; a chat starts in less than those.
_SHORT, _MEDIUM, _LONG = "ok-50-20", "ok-200-20", "long-500-20"
_ENDED = {"completed", "failed", "incomplete", "cancelled"}
# A lease of six seconds, the look for what is nobody's, and the beginning.
_TAKEOVER_SECONDS = 10.0
_LONG_SECONDS = 10.0


@pytest.fixture(autouse=True)
def models(stack: SharedStack) -> None:
    """Let the provider list the paced models."""
    stack.provider.models += [model for model in (_SHORT, _MEDIUM) if model not in stack.provider.models]


async def created(client: AsyncOpenAI, model: str = _SHORT) -> Response:
    """Return a new response, which has not run yet."""
    response = await client.responses.create(model=model, input="Hi", background=True)
    assert (response.status, response.background, response.output) == ("queued", True, [])
    return response


async def ended(client: AsyncOpenAI, response_id: str, *, within_seconds: float = 20) -> Response:
    """Return the response once it has ended."""
    async with asyncio.timeout(within_seconds):
        while (response := await client.responses.retrieve(response_id)).status not in _ENDED:  # noqa: ASYNC110 - a poll
            await asyncio.sleep(0.1)
    return response


async def followed(client: AsyncOpenAI, response_id: str, *, after: int | None = None) -> list[Any]:
    """Return the events after one of them, or all, up to the end."""
    starting_after = omit if after is None else after
    stream = await client.responses.retrieve(response_id, stream=True, starting_after=starting_after)
    return [event async for event in stream]


async def begun(client: AsyncOpenAI, model: str, *, events: int) -> tuple[str, list[Any]]:
    """Return the id of a new response and its first events, and leave its stream."""
    stream = await client.responses.create(model=model, input="Hi", background=True, stream=True)
    seen: list[Any] = [await anext(stream) for _ in range(events)]
    await stream.close()
    assert seen[0].type == "response.created"
    return seen[0].response.id, seen


def check(events: Sequence[Any], response: Response) -> None:
    """Check that `events` are all events of `response`, each once, in order, and say what it says."""
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[-1].type == f"response.{response.status}"
    assert (
        "".join(event.delta for event in events if event.type == "response.output_text.delta") == response.output_text
    )
    assert events[-1].response.output == response.output


async def test_created_response_is_polled_until_it_is_complete(client: AsyncOpenAI, other_client: AsyncOpenAI) -> None:
    response = await created(client)
    complete = await ended(other_client, response.id)
    assert (complete.status, complete.output_text) == ("completed", numbered_text(50))
    assert (complete.id, complete.background) == (response.id, True)
    assert complete.usage is not None


async def test_stream_that_was_cut_goes_on_through_the_other_gateway(
    client: AsyncOpenAI, other_client: AsyncOpenAI
) -> None:
    response_id, seen = await begun(client, _MEDIUM, events=8)
    seen += await followed(other_client, response_id, after=seen[-1].sequence_number)
    response = await ended(client, response_id)
    assert (response.status, response.output_text) == ("completed", numbered_text(200))
    check(seen, response)


async def test_tails_are_the_same_bytes_from_every_point(
    client: AsyncOpenAI, account: Account, stack: SharedStack
) -> None:
    response = await created(client)
    path = f"/v1/responses/{response.id}"
    clients = [httpx.AsyncClient(base_url=url, headers=account.key, timeout=30) for url in stack.gateway_urls]
    async with clients[0], clients[1]:
        live = (await clients[0].get(path, params={"stream": "true"})).text
        frames = [f"{frame}\n\n" for frame in live.split("\n\n")[:-1] if not frame.startswith(":")]
        assert len(frames) > 20
        for number in (0, 1, 2, 3, 7, len(frames) // 2, len(frames) - 2, len(frames) - 1):
            for http in clients:
                tail = await http.get(path, params={"stream": "true", "starting_after": number})
                assert tail.text == "".join(frames[number + 1 :])


async def test_two_followers_at_once_see_the_same(client: AsyncOpenAI, other_client: AsyncOpenAI) -> None:
    response = await created(client)
    first, second, late = await asyncio.gather(
        followed(client, response.id), followed(other_client, response.id), followed(other_client, response.id, after=4)
    )
    assert first == second
    assert late == first[5:]
    check(first, await ended(client, response.id))


async def test_response_whose_client_left_comes_to_its_end_and_is_followed_afterwards(
    client: AsyncOpenAI, other_client: AsyncOpenAI
) -> None:
    response_id, seen = await begun(client, _SHORT, events=1)
    response = await ended(other_client, response_id)
    assert (response.status, response.output_text) == ("completed", numbered_text(50))
    events = await followed(other_client, response_id)
    assert events[:1] == seen
    check(events, response)


async def test_response_is_cancelled_through_the_other_gateway(client: AsyncOpenAI, other_client: AsyncOpenAI) -> None:
    response_id, seen = await begun(client, _LONG, events=20)
    following = asyncio.create_task(followed(client, response_id, after=seen[-1].sequence_number))
    cancelled = await other_client.responses.cancel(response_id)
    assert (cancelled.id, cancelled.status) == (response_id, "cancelled")
    async with asyncio.timeout(5):
        seen += await following
    stored = await client.responses.retrieve(response_id)
    assert stored.status == "cancelled"
    assert [event.sequence_number for event in seen] == list(range(len(seen)))
    assert seen[-1].type == "response.cancelled"
    assert numbered_text(500).startswith(stored.output_text)
    assert (await client.responses.cancel(response_id)).status == "cancelled"


async def test_response_of_somebody_else_is_404(client: AsyncOpenAI, stack: SharedStack) -> None:
    response = await created(client)
    async with sdk(stack.gateway_urls[1], register(stack.gateway_urls[1]).api_key) as stranger:
        for response_id in (response.id, "resp_none"):
            with pytest.raises(NotFoundError):
                await stranger.responses.retrieve(response_id)
            with pytest.raises(NotFoundError):
                await stranger.responses.retrieve(response_id, stream=True)
            with pytest.raises(NotFoundError):
                await stranger.responses.cancel(response_id)
    assert (await ended(client, response.id)).status == "completed"


async def test_response_that_did_not_run_in_the_background_is_neither_followed_nor_cancelled(
    client: AsyncOpenAI,
) -> None:
    response = await client.responses.create(model="ok", input="Hi")
    with pytest.raises(BadRequestError) as refused:
        await client.responses.retrieve(response.id, stream=True)
    assert (refused.value.code, refused.value.param) == ("events_not_kept", "stream")
    with pytest.raises(BadRequestError):
        await client.responses.cancel(response.id)


async def test_background_response_that_is_not_stored_is_400(client: AsyncOpenAI) -> None:
    with pytest.raises(BadRequestError) as refused:
        await client.responses.create(model="ok", input="Hi", background=True, store=False)
    assert refused.value.param == "store"


async def test_response_of_a_chat_that_is_killed_is_completed_once_by_the_other(tmp_path: Path) -> None:
    async with AsyncExitStack() as exit_stack:
        provider = await exit_stack.enter_async_context(ScriptedProvider(models=(_LONG,)))
        stack = await exit_stack.enter_async_context(own_stack(tmp_path, provider=provider, gateways=2, chats=2))
        key = register(stack.gateway_urls[0]).api_key
        client, other_client = [await exit_stack.enter_async_context(sdk(url, key)) for url in stack.gateway_urls]
        runner, other = stack.children["chat-1"], stack.children["chat-2"]
        await other.stop(timeout_seconds=20)  # so that it is known which of the two runs the response
        response_id, seen = await begun(client, _LONG, events=10)
        await other.start()
        await other.wait_ready(timeout_seconds=60)
        following = asyncio.create_task(_to_the_end(other_client, response_id))
        assert (await client.responses.retrieve(response_id)).status == "in_progress"
        await runner.kill()
        response = await ended(client, response_id, within_seconds=_TAKEOVER_SECONDS + _LONG_SECONDS)
        assert (response.status, response.output_text) == ("completed", numbered_text(500))
        check(await following, response)
        check(seen + await followed(client, response_id, after=seen[-1].sequence_number), response)
        assert len(provider.chats) == 2


async def _to_the_end(client: AsyncOpenAI, response_id: str) -> list[Any]:
    """Return all events, as a client sees them that continues where its stream broke."""
    seen: list[Any] = []
    async with asyncio.timeout(_TAKEOVER_SECONDS + 2 * _LONG_SECONDS):
        while not seen or seen[-1].type.removeprefix("response.") not in _ENDED:
            try:
                starting_after = seen[-1].sequence_number if seen else omit
                stream = await client.responses.retrieve(response_id, stream=True, starting_after=starting_after)
                async for event in stream:
                    seen.append(event)
            except APIError:
                await asyncio.sleep(0.1)
    return seen
