"""Conversations out of one account and into another, through the whole stack, and an account that leaves nothing."""

import asyncio
import json
import re
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from openai import AsyncOpenAI
from redis.asyncio import Redis

from support.openai_error import refusal
from support.stack import Account, SharedStack, eventually, own_stack, register

pytestmark = pytest.mark.e2e

_IMPORT = "/v1/conversations/import"


async def export(http: httpx.AsyncClient, account: Account, conversation_id: str, form: str = "json") -> httpx.Response:
    answer = await http.get(f"/v1/conversations/{conversation_id}/export", params={"format": form}, headers=account.key)
    assert answer.status_code == 200, answer.text
    return answer


def anonymous(document: dict[str, Any]) -> str:
    """Return an export with its ids numbered, and without its time."""
    text = json.dumps(document | {"exported_at": 0}, sort_keys=True)
    for number, name in enumerate([document["conversation"]["id"], *(item["id"] for item in document["items"])]):
        text = text.replace(name, f"#{number}")
    return text


async def test_conversation_moves_to_another_account_and_goes_on(
    client: AsyncOpenAI, http: httpx.AsyncClient, other_http: httpx.AsyncClient, account: Account, stack: SharedStack
) -> None:
    conversation = await client.conversations.create(metadata={"topic": "Rome"})
    for text in ("My name is Cicero.", "```python\nprint('Rome')\n```"):
        await client.responses.create(model="ok", input=text, conversation=conversation.id)
    exported = await export(http, account, conversation.id)
    somebody = register(stack.gateway_urls[1])
    answer = await other_http.post(_IMPORT, content=exported.content, headers=somebody.key)
    assert answer.status_code == 200, answer.text
    [imported] = answer.json()["imported"]
    assert imported["items"] == 4
    again = await export(other_http, somebody, imported["id"])
    assert anonymous(again.json()) == anonymous(exported.json())
    markdown = (await export(other_http, somebody, imported["id"], "markdown")).text
    assert "## User\n\n```python\nprint('Rome')\n```\n" in markdown
    assert markdown.count("## Assistant") == 2

    going_on = {"model": "ok", "input": "Who am I?", "conversation": imported["id"]}
    assert (await other_http.post("/v1/responses", json=going_on, headers=somebody.key)).status_code == 200
    listed = (await http.get(f"/v1/conversations/{imported['id']}/items", headers=somebody.key)).json()
    assert len(listed["data"]) == 6


async def test_everything_of_an_account_moves_to_another(
    client: AsyncOpenAI, http: httpx.AsyncClient, account: Account, stack: SharedStack
) -> None:
    for n in range(3):
        await client.conversations.create(items=[{"role": "user", "content": f"number {n}", "type": "message"}])
    response = await client.responses.create(model="ok", input="alone")
    whole = (await http.get("/v1/me/export", headers=account.key)).json()
    assert whole["user"]["email"] == account.email
    assert [key["id"] for key in whole["api_keys"]] == [account.api_key_id]
    assert account.api_key not in json.dumps(whole)
    [kept] = whole["responses"]
    assert (kept["id"], kept["status"]) == (response.id, "completed")
    assert kept["input"][0]["content"][0]["text"] == "alone"
    assert kept["output"][0]["content"][0]["text"] == response.output_text

    somebody = register(stack.gateway_urls[0])
    answer = await http.post(_IMPORT, json=whole, headers=somebody.key)
    assert [imported["position"] for imported in answer.json()["imported"]] == [0, 1, 2]
    moved = (await http.get("/v1/me/export", headers=somebody.key)).json()
    assert list(map(anonymous, moved["conversations"])) == list(map(anonymous, whole["conversations"]))


def chatgpt_conversation(text: str, *, number: int) -> dict[str, Any]:
    """Return a conversation of ChatGPT's with two answers to one question."""

    def node(parent: str | None, role: str, words: str) -> dict[str, Any]:
        message = {
            "id": str(uuid4()),
            "author": {"role": role, "name": None, "metadata": {}},
            "create_time": 1_700_000_000.5 + number,
            "content": {"content_type": "text", "parts": [words]},
            "status": "finished_successfully",
            "metadata": {"model_slug": "gpt-4o"},
            "recipient": "all",
        }
        return {"id": str(uuid4()), "message": message, "parent": parent, "children": []}

    return {
        "title": f"Number {number}",
        "create_time": 1_700_000_000.0 + number,
        "update_time": 1_700_000_500.0 + number,
        "mapping": {
            "root": {"id": "root", "message": None, "parent": None, "children": ["q"]},
            "q": node("root", "user", text),
            "a1": node("q", "assistant", f"first {text}"),
            "a2": node("q", "assistant", f"second {text}"),
        },
        "current_node": "a1",
        "conversation_id": str(uuid4()),
    }


async def test_history_of_chatgpt_is_imported_from_a_body_larger_than_the_memory_it_takes(
    http: httpx.AsyncClient, account: Account, stack: SharedStack
) -> None:
    filler = "word " * 40_000
    count = 80

    async def body() -> AsyncIterator[bytes]:
        for number in range(count):
            separator = b"[" if number == 0 else b","
            yield separator + json.dumps(chatgpt_conversation(f"{number} {filler}", number=number)).encode()
        yield b"]"

    gateway = stack.children["gateway-1"]
    before = most_memory(gateway.pid)
    answer = await http.post(_IMPORT, content=body(), headers=account.key, timeout=120)
    assert answer.status_code == 200, answer.text
    imported = answer.json()["imported"]
    assert [len(imported), imported[7]["title"], imported[7]["items"]] == [count, "Number 7", 3]
    # 48 MB have passed through.
    assert most_memory(gateway.pid) - before < 32_000_000
    document = (await export(http, account, imported[7]["id"])).json()
    assert document["conversation"]["created_at"] == 1_700_000_007
    assert document["conversation"]["active_item_id"] == document["items"][1]["id"]
    assert document["items"][2]["parent_id"] == document["items"][0]["id"]
    markdown = (await export(http, account, imported[7]["id"], "markdown")).text
    assert "first 7 word" in markdown
    assert "second 7 word" not in markdown


def most_memory(pid: int) -> int:
    """Return the most bytes of memory that a process has had."""
    [kilobytes] = re.findall(r"VmHWM:\s*(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(kilobytes) * 1024


async def test_import_survives_the_death_of_everything(tmp_path: Path) -> None:
    async with own_stack(tmp_path) as stack:
        account = register(stack.gateway_urls[0])
        body = [chatgpt_conversation(str(number), number=number) for number in range(20)]
        async with httpx.AsyncClient(base_url=stack.gateway_urls[0], headers=account.key) as http:
            answer = await http.post(_IMPORT, json=body)
            ids = [imported["id"] for imported in answer.json()["imported"]]
            assert len(ids) == 20
        await asyncio.gather(*(child.kill() for child in stack.children.values()))
    async with own_stack(tmp_path) as stack, httpx.AsyncClient(base_url=stack.gateway_urls[0]) as http:
        for conversation_id in ids:
            assert len((await export(http, account, conversation_id)).json()["items"]) == 3


async def test_history_killed_in_the_middle_leaves_only_whole_conversations(tmp_path: Path) -> None:
    async with own_stack(tmp_path) as stack:
        account = register(stack.gateway_urls[0])
        body = [chatgpt_conversation("word " * 1_000, number=number) for number in range(400)]
        async with httpx.AsyncClient(base_url=stack.gateway_urls[0], headers=account.key, timeout=60) as http:
            sending = asyncio.create_task(http.post(_IMPORT, json=body))

            async def has_begun() -> bool:
                return bool((await http.get("/v1/conversations")).json()["data"])

            await eventually(has_begun, within_seconds=20)
            await stack.children["history"].kill()
            assert (await sending).status_code in (503, 504)
    async with own_stack(tmp_path) as stack, httpx.AsyncClient(base_url=stack.gateway_urls[0]) as http:
        whole = (await http.get("/v1/me/export", headers=account.key, timeout=60)).json()
        assert len(whole["conversations"]) < 400
        assert {len(conversation["items"]) for conversation in whole["conversations"]} <= {3}


async def test_deleted_account_leaves_nothing_in_any_store(tmp_path: Path) -> None:
    canary = f"canary{uuid4().hex}"
    async with own_stack(tmp_path) as stack:
        account = register(stack.gateway_urls[0], name=canary)
        async with httpx.AsyncClient(base_url=stack.gateway_urls[0], headers=account.key, timeout=30) as http:
            await leave_traces(http, canary)
            assert {table for table, _ in traces(tmp_path, account.user_id, canary)} >= {
                "conversation",
                "item",
                "response",
            }
            assert (await http.delete("/v1/me", headers=account.session)).status_code == 204

            async def is_gone() -> bool:
                # That somebody was deleted is remembered, until what they had under way must have ended; and the audit
                # log keeps the id, which then names nobody.
                left = {table for table, _ in traces(tmp_path, account.user_id, canary)}
                return left <= {"erasures", "audit_events"} and not list(traces(tmp_path, canary))

            await eventually(is_gone, within_seconds=10)
        async with Redis.from_url(f"redis://{stack.children['redis'].plan.address}/0") as redis:
            assert [key async for key in redis.scan_iter() if await stays(redis, key, account.user_id, canary)] == []


async def leave_traces(http: httpx.AsyncClient, canary: str) -> None:
    """Store the canary in every way there is."""
    item = {"role": "user", "content": f"Remember {canary}"}
    made = (await http.post("/v1/conversations", json={"items": [item], "metadata": {"a": canary}})).json()
    await http.post(f"/v1/conversations/{made['id']}", json={"title": canary})
    [stored] = (await http.get(f"/v1/conversations/{made['id']}/items")).json()["data"]
    opinion = {"rating": "positive", "comment": canary}
    rated = await http.post(f"/v1/conversations/{made['id']}/items/{stored['id']}/feedback", json=opinion)
    assert rated.is_success, rated.text
    assert (await http.post(f"/v1/conversations/{made['id']}/shares", json={})).is_success
    imported = await http.post(_IMPORT, json=[chatgpt_conversation(canary, number=1)])
    assert imported.status_code == 200, imported.text
    chat = {"model": "echo", "messages": [item], "store": True, "metadata": {"a": canary}}
    assert (await http.post("/v1/chat/completions", json=chat)).is_success
    for more in ({}, {"conversation": made["id"]}, {"background": True}):
        answer = await http.post("/v1/responses", json={"model": "echo", "input": canary} | more)
        assert answer.status_code == 200, answer.text


def traces(data: Path, *wanted: str) -> Iterator[tuple[str, str]]:
    """Yield the table and the row wherever the SQL stores hold one of the texts."""
    for path in data.glob("*.sqlite3"):
        with sqlite3.connect(path, timeout=10) as connection:
            tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            for (table,) in tables:
                for row in connection.execute(f'SELECT * FROM "{table}"'):
                    if any(text in str(row) for text in wanted):
                        yield table, str(row)


async def stays(redis: Redis, key: bytes, *wanted: str) -> bool:
    """Tell whether a key holds one of the texts and does not end by itself."""
    kept = await redis.dump(key) or b""
    return await redis.ttl(key) == -1 and any(text.encode() in key + kept for text in wanted)


async def test_export_and_import_of_somebody_elses_are_refused(
    http: httpx.AsyncClient, account: Account, stack: SharedStack
) -> None:
    made = (await http.post("/v1/conversations", json={}, headers=account.key)).json()
    somebody = register(stack.gateway_urls[0])
    for form in ("json", "markdown"):
        path = f"/v1/conversations/{made['id']}/export?format={form}"
        refusal(await http.get(path, headers=somebody.key), 404)
    refusal(await http.post(_IMPORT, json=[made], headers=somebody.key), 400)
