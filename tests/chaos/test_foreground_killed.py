"""A chat that is killed while clients wait for their responses: others end those within seconds, and run none again."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.aftermath import stored_responses
from support.provider import ScriptedProvider
from support.stack import Account, eventually, own_stack, register

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

_LEASE_SECONDS = 4.0
# Ten seconds at a pause of 50 ms for each word.
_MODELS = [f"ok-{200 + number}-50" for number in range(8)]
_ENVIRONMENT = {"ROSTRA_CHAT_RESPONSE_LEASE_SECONDS": str(_LEASE_SECONDS)}


async def test_responses_of_a_killed_chat_end_as_failed_and_those_of_others_go_on(tmp_path: Path) -> None:
    async with (
        ScriptedProvider(models=_MODELS) as provider,
        own_stack(tmp_path, provider=provider, environment=_ENVIRONMENT, chats=2) as stack,
        httpx.AsyncClient(base_url=stack.gateway_urls[0], timeout=60) as http,
    ):
        account = register(stack.gateway_urls[0])
        asked = [asyncio.create_task(ask(http, account, model, stream=n % 2 == 1)) for n, model in enumerate(_MODELS)]

        async def all_are_answered() -> bool:
            return len(provider.chats) == len(_MODELS)

        await eventually(all_are_answered, within_seconds=30)
        assert await stack.children["chat-1"].kill() == -9
        ended = dict(zip(_MODELS, await asyncio.gather(*asked), strict=True))

        async def all_have_ended() -> bool:
            return "in_progress" not in stored_responses(stack.data).values()

        # The lease, the look at the queue every second, and whatever a busy machine takes: far from the hour before.
        await eventually(all_have_ended, within_seconds=30)
        told = [await stored(http, account, response_id) for response_id in stored_responses(stack.data)]
        by_model = {each["model"]: each for each in told}
        assert {model: each["status"] == "completed" for model, each in by_model.items()} == ended
        # The gateway spreads calls over both chats.
        assert set(ended.values()) == {True, False}
        for each in by_model.values():
            if each["status"] != "completed":
                assert each["status"] == "failed"
                assert each["error"]["code"] == "server_error"
        assert len(provider.chats) == len(_MODELS)


async def ask(http: httpx.AsyncClient, account: Account, model: str, *, stream: bool) -> bool:
    """Ask for a response and tell whether it was told to be complete."""
    body = {"model": model, "input": "Hi", "stream": stream}
    try:
        answer = await http.post("/v1/responses", json=body, headers=account.key)
    except httpx.HTTPError:
        return False
    if stream:
        return "event: response.completed" in answer.text
    return answer.status_code == 200


async def stored(http: httpx.AsyncClient, account: Account, response_id: str) -> dict[str, Any]:
    """Return a response as it is now."""
    answer = await http.get(f"/v1/responses/{response_id}", headers=account.key)
    assert answer.status_code == 200, answer.text
    response: dict[str, Any] = answer.json()
    return response
