"""What is too long for a model: refused before it costs anything, or without its oldest turns."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.openai_error import refusal
from support.provider import ScriptedProvider
from support.stack import eventually, own_stack, register

pytestmark = pytest.mark.e2e

WINDOW = 1600
CATALOGUE = f"""
models:
  - {{id: small, provider: openai, upstream_name: ok, context_window: {WINDOW}, create_time: 2026-01-01}}
"""
LONG = "word " * 450
CALL = {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": LONG}
TURNS: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    *({"role": "user", "content": f"one {LONG}"}, CALL, OUTPUT, {"role": "assistant", "content": f"first {LONG}"}),
    *({"role": "user", "content": f"two {LONG}"}, {"role": "assistant", "content": f"second {LONG}"}),
    {"role": "user", "content": "three"},
]


@dataclass(frozen=True)
class Place:
    """A stack whose model is small, and its provider."""

    http: httpx.AsyncClient
    provider: ScriptedProvider


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    catalogue = tmp_path / "models.yaml"
    catalogue.write_text(CATALOGUE)
    async with AsyncExitStack() as exit_stack:
        provider = await exit_stack.enter_async_context(ScriptedProvider(models=("ok",)))
        environment = {"ROSTRA_CHAT_CATALOGUE_FILE": str(catalogue)}
        stack = await exit_stack.enter_async_context(
            own_stack(tmp_path / "data", provider=provider, environment=environment)
        )
        url = stack.gateway_urls[0]
        client = httpx.AsyncClient(base_url=url, headers=register(url).key, timeout=30)
        yield Place(await exit_stack.enter_async_context(client), provider)


async def remaining_tokens(place: Place) -> int:
    """Return what is left of the tokens per minute, by a call that takes as few as there are."""
    body = {"model": "small", "max_tokens": 1, "messages": [{"role": "user", "content": "x"}]}
    answer = await place.http.post("/v1/chat/completions", json=body)
    return int(answer.headers["x-ratelimit-remaining-tokens"])


async def requests_in_ledger(place: Place) -> int:
    data = (await place.http.get("/v1/usage")).json()["data"]
    return sum(bucket["requests"] for bucket in data)


async def test_what_is_too_long_is_refused_before_it_costs_anything(place: Place) -> None:
    before = await remaining_tokens(place)
    for extra in ({}, {"truncation": "disabled"}, {"stream": True}, {"background": True}):
        answer = await place.http.post("/v1/responses", json={"model": "small", "input": LONG * 10, **extra})
        error = refusal(answer, 400)
        assert (error["code"], error["param"]) == ("context_length_exceeded", "input")
    assert len(place.provider.chats) == 1
    # Refilled meanwhile, but never taken: each refusal would have taken some thousand tokens.
    assert await remaining_tokens(place) >= before - 20

    async def only_the_probes_are_billed() -> bool:
        return await requests_in_ledger(place) == 2

    await eventually(only_the_probes_are_billed, within_seconds=5)


async def test_oldest_turns_are_left_out_whole(place: Place) -> None:
    body = {"model": "small", "input": TURNS, "truncation": "auto"}
    answer = await place.http.post("/v1/responses", json=body)
    assert answer.status_code == 200, answer.text
    messages = place.provider.chats[-1].body["messages"]
    assert [message["content"].split()[0] for message in messages] == ["Be", "two", "second", "three"]
    # What was left out for the model is the response's input all the same.
    path = f"/v1/responses/{answer.json()['id']}/input_items"
    assert len((await place.http.get(path)).json()["data"]) == len(TURNS)


async def test_oldest_turns_of_a_conversation_are_left_out_whole(place: Place) -> None:
    conversation = (await place.http.post("/v1/conversations", json={"items": TURNS[:-1]})).json()["id"]
    body = {"model": "small", "input": "three", "conversation": conversation}
    refusal(await place.http.post("/v1/responses", json=body | {"input": LONG * 6}), 400)
    answer = await place.http.post("/v1/responses", json=body | {"truncation": "auto"})
    assert answer.status_code == 200, answer.text
    messages = place.provider.chats[-1].body["messages"]
    assert [message["content"].split()[0] for message in messages] == ["Be", "two", "second", "three"]


async def test_what_is_too_long_is_made_short_and_goes_on(place: Place) -> None:
    items = [*TURNS[:-1], {"role": "user", "content": "words " * 900}]
    refusal(await place.http.post("/v1/responses", json={"model": "small", "input": items}), 400)
    compacted = await place.http.post("/v1/responses/compact", json={"model": "small", "input": items})
    assert compacted.status_code == 200, compacted.text
    assert len(place.provider.chats) > 1
    body = {"model": "small", "input": [*compacted.json()["output"], {"role": "user", "content": "Go on."}]}
    assert (await place.http.post("/v1/responses", json=body)).status_code == 200
