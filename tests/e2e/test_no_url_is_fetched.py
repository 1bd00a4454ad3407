"""Rostra fetches no URL that a caller gives: a server that would notice is named everywhere, and nobody comes."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from support.stack import Account, SharedStack

pytestmark = pytest.mark.e2e

# Time for whatever might look something up after it has answered.
_WATCH_SECONDS = 0.5


@asynccontextmanager
async def canary() -> AsyncIterator[tuple[str, list[bytes]]]:
    """Yield the address of a server, and what it was asked."""
    visits: list[bytes] = []

    async def visited(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visits.append(await reader.read(1000))
        writer.close()

    server = await asyncio.start_server(visited, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/canary", visits


async def test_no_url_of_a_caller_is_fetched(stack: SharedStack, account: Account) -> None:
    async with (
        canary() as (url, visits),
        httpx.AsyncClient(base_url=stack.gateway_urls[0], headers=account.session, timeout=30) as http,
    ):
        statuses = {}
        for model in ("echo", "ok"):
            for name, (path, body) in _requests(url, model).items():
                answer = await http.post(path, json=body)
                statuses[f"{model}: {name}"] = answer.status_code
                # Whatever was kept is read again.
                if answer.is_success and "conv" in str(answer.json().get("id")):
                    assert (await http.get(f"/v1/conversations/{answer.json()['id']}/items")).is_success
        hostile = {"host": url.split("/")[2], "x-forwarded-host": url.split("/")[2], "referer": url, "origin": url}
        hostile |= {"x-original-url": url, "x-rewrite-url": url, "forwarded": f"host={url}", "traceparent": url}
        await http.get("/v1/models", headers=hostile)
        await http.get(f"/v1/models?redirect_uri={url}&url={url}&callback={url}")
        await http.get(url.replace("http://", "/"))
        await asyncio.sleep(_WATCH_SECONDS)
    assert visits == []
    assert not [name for name, status in statuses.items() if status >= 500], statuses
    # It was not all refused before anybody looked at it.
    assert statuses["ok: image of a chat"] == statuses["ok: image of a response"] == 200, statuses
    assert statuses["ok: items of a conversation"] == 200, statuses


async def test_canary_notices_a_visit() -> None:
    async with canary() as (url, visits), httpx.AsyncClient() as http:
        with pytest.raises(httpx.RemoteProtocolError):
            await http.get(url)
        assert len(visits) == 1


def _requests(url: str, model: str) -> dict[str, tuple[str, Any]]:
    image = {"type": "input_image", "image_url": url}
    file = {"type": "input_file", "file_url": url}
    chats = {
        "image": {"type": "image_url", "image_url": {"url": url, "detail": "high"}},
        "file": {"type": "file", "file": {"file_data": url, "filename": url}},
        "audio": {"type": "input_audio", "input_audio": {"data": url, "format": "wav"}},
    }
    tools = {
        "MCP server": {"type": "mcp", "server_label": "x", "server_url": url, "require_approval": "never"},
        "search": {"type": "web_search", "filters": {"allowed_domains": [url]}},
    }
    text = {"role": "user", "content": f"Read {url} ![image]({url})"}
    export = {"object": "conversation.export", "version": 1, "conversation": {"title": url}}
    return {
        "text": ("/v1/responses", {"model": model, "input": [text]}),
        "image of a response": ("/v1/responses", {"model": model, "input": [_said(image)]}),
        "file of a response": ("/v1/responses", {"model": model, "input": [_said(file)]}),
        "prompt": ("/v1/responses", {"model": model, "input": "Hi", "prompt": {"id": url, "variables": {"x": image}}}),
        "metadata": ("/v1/responses", {"model": model, "input": "Hi", "metadata": {"webhook": url}, "user": url}),
        "items of a conversation": ("/v1/conversations", {"items": [_said(image), text]}),
        "files of a conversation": ("/v1/conversations", {"items": [_said(file)]}),
        "export": ("/v1/conversations/import", export | {"items": [{"id": "a", "item": _said(image)}]}),
        "sign-in": ("/v1/auth/login", {"email": "a@example.com", "password": url, "redirect_uri": url}),
        "key": ("/v1/api_keys", {"name": json.dumps({"callback": url})[:100]}),
        **{f"{name} of a chat": _chat(model, part) for name, part in chats.items()},
        **{
            f"tool: {name}": ("/v1/responses", {"model": model, "input": "Hi", "tools": [tool]})
            for name, tool in tools.items()
        },
    }


def _said(part: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": [part]}


def _chat(model: str, part: dict[str, Any]) -> tuple[str, Any]:
    return "/v1/chat/completions", {"model": model, "messages": [_said(part)], "store": True}
