"""Conversations named by a model, which OpenAI has no endpoint for."""

import httpx
import pytest

from support.openai_error import refusal
from support.provider_reply import GREETING
from support.stack import Account, Journal, eventually

pytestmark = pytest.mark.e2e


async def started(http: httpx.AsyncClient, account: Account, *items: dict[str, str]) -> str:
    """Return the path of a new conversation with these items in it."""
    answer = await http.post("/v1/conversations", json={"items": items}, headers=account.key)
    return f"/v1/conversations/{answer.json()['id']}"


async def test_conversation_is_named_after_its_first_turn(
    http: httpx.AsyncClient, other_http: httpx.AsyncClient, account: Account, journal: Journal
) -> None:
    path = await started(http, account)
    turn = {"model": "ok", "input": "Where is Ostia?", "conversation": path.rpartition("/")[2]}
    assert (await http.post("/v1/responses", json=turn, headers=account.key)).is_success

    named = await http.post(f"{path}/title", json={"model": "ok"}, headers=account.key)

    assert named.status_code == 200, named.text
    assert named.json()["title"] == GREETING.rstrip(".")
    assert journal.last["messages"][1]["content"] == f"user: Where is Ostia?\n\nassistant: {GREETING}"
    assert (await other_http.get(path, headers=account.key)).json() == named.json()


async def test_naming_is_in_the_ledger(http: httpx.AsyncClient, account: Account) -> None:
    path = await started(http, account, {"role": "user", "content": "Where is Ostia?"})
    assert (await http.post(f"{path}/title", json={"model": "echo"}, headers=account.key)).is_success

    async def is_there() -> bool:
        used = (await http.get("/v1/usage", headers=account.key)).json()["data"]
        return [(each["model"], each["requests"]) for each in used] == [("echo", 1)]

    await eventually(is_there, within_seconds=5)


async def test_empty_conversation_is_not_named(http: httpx.AsyncClient, account: Account, journal: Journal) -> None:
    path = await started(http, account, {"role": "system", "content": "Be brief."})
    answer = await http.post(f"{path}/title", json={"model": "ok"}, headers=account.key)
    assert refusal(answer, 409)["code"] == "conversation_empty"
    assert journal.bodies == []


async def test_model_that_fails_leaves_the_title(http: httpx.AsyncClient, account: Account) -> None:
    path = await started(http, account, {"role": "user", "content": "Where is Ostia?"})
    await http.post(path, json={"title": "Mine"}, headers=account.key)
    for model, status in (("no-such-model", 404), ("status-503", 503)):
        refusal(await http.post(f"{path}/title", json={"model": model}, headers=account.key), status)
    assert (await http.get(path, headers=account.key)).json()["title"] == "Mine"
