"""Conversations and accounts on their way out: whole or visibly not, and page by page."""

import asyncio
import json
from typing import Any

import httpx
import orjson
import pytest

from rostra.common.v1.caller_pb2 import Limits
from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra.history.v1 import history_service_pb2 as pb
from rostra.history.v1.item_pb2 import Item
from rostra_gateway.transfer.file_stream import attachment
from rostra_kit.errors import InvalidArgumentError, UnavailableError
from rostra_kit.ids import new_id
from services.gateway.tests.conftest import Gateway, Services, connect
from services.gateway.tests.fake_history import FakeHistoryService
from services.gateway.tests.fake_user import now

PATH = "/v1/conversations"


async def export(client: httpx.AsyncClient, conversation_id: str, form: str = "json") -> httpx.Response:
    return await client.get(f"{PATH}/{conversation_id}/export", params={"format": form})


async def imported(client: httpx.AsyncClient, document: Any) -> str:
    answer = await client.post(f"{PATH}/import", json=document)
    assert answer.status_code == 200, answer.text
    return answer.json()["imported"][0]["id"]


def document(*items: dict[str, Any], **conversation: Any) -> dict[str, Any]:
    """Return an export of items, each after the one before."""
    listed = [
        {"id": str(n), "parent_id": str(n - 1) if n else None, "created_at": 1.5 + n, "item": item}
        for n, item in enumerate(items)
    ]
    return {"object": "conversation.export", "version": 1, "conversation": conversation, "items": listed}


def said(text: str, role: str = "user") -> dict[str, Any]:
    return {"role": role, "content": text}


async def test_json_has_all_branches_with_times_and_feedback(client: httpx.AsyncClient) -> None:
    given = document(
        said("Hello"),
        said("Hi", "assistant"),
        said("other", "assistant"),
        title="Rome / 1",
        created_at=1.000001,
        updated_at=2,
        archived=True,
        metadata={"a": "1"},
        active_item_id="1",
    )
    given["items"][2]["parent_id"] = "0"
    given["items"][1]["feedback"] = {"rating": "positive", "comment": "good", "updated_at": 3.25}
    conversation_id = await imported(client, given)
    answer = await export(client, conversation_id)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-disposition"] == (
        "attachment; filename=\"Rome-1.json\"; filename*=UTF-8''Rome-1.json"
    )
    body = answer.json()
    ids = [item["id"] for item in body["items"]]
    assert (body["object"], body["version"]) == ("conversation.export", 1)
    assert body["conversation"] == {
        "id": conversation_id,
        "title": "Rome / 1",
        "created_at": 1.000001,
        "updated_at": 2,
        "metadata": {"a": "1"},
        "archived": True,
        "active_item_id": ids[1],
    }
    assert [item["parent_id"] for item in body["items"]] == [None, ids[0], ids[0]]
    assert [item["created_at"] for item in body["items"]] == [1.5, 2.5, 3.5]
    assert [item["item"]["content"][0]["text"] for item in body["items"]] == ["Hello", "Hi", "other"]
    assert [item.get("feedback") for item in body["items"]] == [None, given["items"][1]["feedback"], None]


async def test_empty_conversation_is_exported(client: httpx.AsyncClient) -> None:
    conversation_id = (await client.post(PATH, json={})).json()["id"]
    body = (await export(client, conversation_id)).json()
    assert (body["items"], body["conversation"]["active_item_id"], body["conversation"]["title"]) == ([], None, None)
    text = (await export(client, conversation_id, "markdown")).text
    assert text.startswith("# Conversation\n")


async def test_markdown_shows_the_active_branch_and_names_what_it_cannot(client: httpx.AsyncClient) -> None:
    items = [
        said("Hello\n\n```python\nprint(1)\n```"),
        {
            "role": "user",
            "content": [
                {"type": "input_image", "image_url": "data:image/png;base64,AAAA"},
                {"type": "input_image", "image_url": "https://example.com/a.png"},
                {"type": "input_file", "file_data": "AAAA", "filename": "a b.pdf"},
                {"type": "input_text", "text": "~~~\nopen"},
            ],
        },
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "I think"}], "encrypted_content": "x"},
        {"type": "function_call", "call_id": "c", "name": "run", "arguments": '{"a":"```"}'},
        {"type": "function_call_output", "call_id": "c", "output": "42"},
        {"type": "web_search_call"},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
        said("not shown"),
    ]
    given = document(*items, title="Zoë's\nplan", created_at=0, active_item_id="6")
    conversation_id = await imported(client, given)
    answer = await export(client, conversation_id, "markdown")
    assert answer.headers["content-type"] == "text/markdown; charset=utf-8"
    assert "filename=\"Zo-s-plan.md\"; filename*=UTF-8''Zo%C3%AB-s-plan.md" in answer.headers["content-disposition"]
    assert answer.text == (
        "# Zoë's plan\n\n*Begun on 1970-01-01 00:00 UTC.*\n"
        "\n## User\n\nHello\n\n```python\nprint(1)\n```\n"
        "\n## User\n\n*[Not shown: input_image]*\n\n*[input_image: <https://example.com/a.png>]*\n\n"
        "*[Not shown: input_file a b.pdf]*\n\n~~~\nopen\n~~~\n"
        "\n## Reasoning\n\nI think\n\n*[Not shown: reasoning]*\n"
        '\n## Call of run\n\n````json\n{"a":"```"}\n````\n'
        "\n## Output\n\n```\n42\n```\n"
        "\n*[Not shown: web_search_call]*\n"
        "\n## Assistant\n\nNo.\n"
    )


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("../../etc/passwd", "etc-passwd"),
        ('a"b\r\nX-Evil: 1', "a-b-X-Evil-1"),
        ("", "conv_1"),
        ("🚢", "conv_1"),
        ("x" * 500, "x" * 80),
        (" . ", "conv_1"),
    ],
)
def test_filename_is_safe_whatever_the_title(title: str, name: str) -> None:
    header = attachment(title, otherwise="conv_1", suffix=".json")
    assert f'filename="{name}.json"' in header
    assert header.isascii()
    assert header.isprintable()


@pytest.mark.parametrize("query", ["format=pdf", "format="])
async def test_unknown_format_is_refused(client: httpx.AsyncClient, query: str) -> None:
    answer = await client.get(f"{PATH}/conv_1/export?{query}")
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "format"


@pytest.mark.parametrize("method", ["GetConversation", "ListItems"])
async def test_error_before_the_first_byte_is_a_status(
    client: httpx.AsyncClient, gateway: Gateway, services: Services, method: str
) -> None:
    def fail(_: object) -> None:
        raise UnavailableError("away", retry_after_seconds=1)

    conversation_id = (await client.post(PATH, json={})).json()["id"]
    services.history.before[method] = fail
    assert (await export(client, conversation_id)).status_code == 503
    assert (await export(client, "conv_none")).status_code == (503 if method == "GetConversation" else 404)
    assert gateway.metric("rostra_gateway_open_streams") == 0


class ManyItems:
    """Answers ListItems with as many items as it is told, each of that size, and counts the pages."""

    def __init__(self, history: FakeHistoryService, *, count: int, size: int, fails_at: int | None = None) -> None:
        self.pages = 0
        self.sizes: list[int] = []
        self._body = orjson.dumps({"type": "message", "role": "user", "content": "x" * size})
        self._count, self._fails_at = count, fails_at
        self.most_bytes = 1_000_000_000
        history.before["ListItems"] = self.list_items

    def list_items(self, request: pb.ListItemsRequest) -> pb.ListItemsResponse:
        self.pages += 1
        self.sizes.append(request.page.page_size)
        if request.page.page_size * len(self._body) > self.most_bytes:
            raise InvalidArgumentError("too large", reason=ErrorReason.ERROR_REASON_REQUEST_TOO_LARGE)
        start = int(request.page.after_id or -1) + 1
        if self._fails_at is not None and start >= self._fails_at:
            raise UnavailableError("away", retry_after_seconds=1)
        end = min(self._count, start + request.page.page_size)
        items = [Item(id=str(n), body=self._body, create_time=now()) for n in range(start, end)]
        return pb.ListItemsResponse(items=items, has_more=end < self._count)


@pytest.mark.parametrize("form", ["json", "markdown"])
async def test_file_that_breaks_off_does_not_look_whole(
    client: httpx.AsyncClient, gateway: Gateway, services: Services, form: str
) -> None:
    conversation_id = (await client.post(PATH, json={})).json()["id"]
    ManyItems(services.history, count=1_000, size=100, fails_at=500)
    received = b""
    with pytest.raises(httpx.RemoteProtocolError):
        async with client.stream("GET", f"{PATH}/{conversation_id}/export", params={"format": form}) as answer:
            assert answer.status_code == 200
            async for piece in answer.aiter_bytes():
                received += piece
    assert received
    if form == "json":
        with pytest.raises(json.JSONDecodeError):
            json.loads(received)
    assert gateway.metric("rostra_gateway_broken_streams_total", reason="file") == 1
    assert gateway.metric("rostra_gateway_open_streams") == 0
    assert (await client.get("/v1/me")).status_code == 200


async def test_ten_thousand_items_are_sent_no_faster_than_they_are_read(
    client: httpx.AsyncClient, services: Services
) -> None:
    conversation_id = (await client.post(PATH, json={})).json()["id"]
    many = ManyItems(services.history, count=10_000, size=10_000)
    size = 0
    async with client.stream("GET", f"{PATH}/{conversation_id}/export") as answer:
        pieces = answer.aiter_bytes()
        size += len(await anext(pieces))
        await asyncio.sleep(0.5)
        # What is on the way fills the buffers of two sockets, and no more of the 100 pages is in memory.
        assert many.pages < 30
        async for piece in pieces:
            size += len(piece)
    assert many.pages == 101
    assert size > 100_000_000


async def test_page_too_large_for_a_message_is_asked_for_in_smaller_ones(
    client: httpx.AsyncClient, services: Services
) -> None:
    conversation_id = (await client.post(PATH, json={})).json()["id"]
    many = ManyItems(services.history, count=60, size=1_000)
    many.most_bytes = 30_000
    assert len((await export(client, conversation_id)).json()["items"]) == 60
    assert many.sizes[1:] == [100, 25, 25, 25]


async def test_client_that_leaves_ends_the_export_and_frees_its_slot(gateway: Gateway, services: Services) -> None:
    user_id = services.user.add_user("one@example.com", limits=Limits(requests_per_minute=1_000, concurrent_streams=1))
    async with connect(gateway, services.user.add_key(user_id)) as client:
        conversation_id = (await client.post(PATH, json={})).json()["id"]
        many = ManyItems(services.history, count=100_000, size=10_000)
        async with client.stream("GET", f"{PATH}/{conversation_id}/export") as answer:
            pieces = answer.aiter_bytes()
            await anext(pieces)
            assert (await export(client, conversation_id)).status_code == 429
        async with asyncio.timeout(5):
            while gateway.metric("rostra_gateway_open_streams"):  # noqa: ASYNC110 - the product has no use for an event
                await asyncio.sleep(0.01)
        pages = many.pages
        await asyncio.sleep(0.1)
        assert many.pages == pages < 900
        ManyItems(services.history, count=1, size=1)
        assert (await export(client, conversation_id)).status_code == 200


async def test_user_export_has_everything_and_no_secret(
    client: httpx.AsyncClient, services: Services, alice: str
) -> None:
    user_id = (await client.get("/v1/me")).json()["id"]
    kept = await imported(client, document(said("kept"), title="kept"))
    archived = await imported(client, document(said("put away"), archived=True))
    response_id = services.history.add_response(user_id, b'{"object":"response","model":"echo"}')
    share_id = (await client.post(f"{PATH}/{kept}/shares", json={})).json()["id"]
    completion_id = services.chat_completions.add(user_id, said("stored"), topic="Rome")
    answer = await client.get("/v1/me/export")
    assert answer.headers["content-disposition"].startswith('attachment; filename="rostra-export.json"')
    body = answer.json()
    assert (body["object"], body["version"], body["user"]["id"]) == ("user.export", 1, user_id)
    assert [key["redacted_value"] for key in body["api_keys"]] == [f"sk-rostra-…{alice[-4:]}"]
    assert alice not in answer.text
    assert [export["conversation"]["id"] for export in body["conversations"]] == [kept, archived]
    assert [export["items"][0]["item"]["content"][0]["text"] for export in body["conversations"]] == [
        "kept",
        "put away",
    ]
    assert [(share["id"], share["conversation_id"]) for share in body["shares"]] == [(share_id, kept)]
    [completion] = body["chat_completions"]
    assert (completion["id"], completion["metadata"], completion["messages"][0]["content"]) == (
        *(completion_id, {"topic": "Rome"}, "stored"),
    )
    [response] = body["responses"]
    assert (response["id"], response["response"]["model"], response["status"]) == (response_id, "echo", "completed")
    assert [item["content"][0]["text"] for item in response["output"]] == ["Hello."]
    assert len(response["input"]) == 1


async def test_user_export_holds_only_ones_own(client: httpx.AsyncClient, gateway: Gateway, services: Services) -> None:
    await imported(client, document(said("a secret")))
    bob = services.user.add_key(services.user.add_user(f"{new_id('bob')}@example.com"))
    async with connect(gateway, bob) as other:
        answer = await other.get("/v1/me/export")
    assert answer.json()["conversations"] == []
    assert "a secret" not in answer.text


async def test_conversation_deleted_meanwhile_is_passed_over(client: httpx.AsyncClient, services: Services) -> None:
    ids = [await imported(client, document(said(str(n)))) for n in range(3)]
    conversations = services.history.conversations

    def delete_second(request: pb.ListItemsRequest) -> None:
        if request.conversation_id == ids[1]:
            for key in [key for key in conversations if key[1] == ids[1]]:
                del conversations[key]

    services.history.before["ListItems"] = delete_second
    body = (await client.get("/v1/me/export")).json()
    assert [export["conversation"]["id"] for export in body["conversations"]] == [ids[0], ids[2]]
