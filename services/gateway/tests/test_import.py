"""Conversations on their way in: each whole or not at all, each fault named, in bodies of any size."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

from rostra.history.v1 import history_service_pb2 as pb
from rostra_gateway.settings import ImportSettings
from rostra_kit.errors import UnavailableError
from services.gateway.tests.conftest import Gateway, Services, StartGateway, add_alice, connect

PATH = "/v1/conversations/import"


def export(*texts: str, **conversation: Any) -> dict[str, Any]:
    items = [
        {"id": str(n), "parent_id": str(n - 1) if n else None, "item": {"role": "user", "content": text}}
        for n, text in enumerate(texts)
    ]
    return {"object": "conversation.export", "version": 1, "conversation": conversation, "items": items}


def chatgpt(text: str, **fields: Any) -> dict[str, Any]:
    message = {"author": {"role": "user"}, "content": {"content_type": "text", "parts": [text]}}
    picture = {"content_type": "multimodal_text", "parts": [{"content_type": "image_asset_pointer"}]}
    mapping = {
        "root": {"message": None, "parent": None},
        "q": {"message": message, "parent": "root"},
        "a": {"message": message | {"content": picture}, "parent": "q"},
    }
    return {"title": "From afar", "mapping": mapping, "current_node": "a"} | fields


def stored(services: Services) -> list[str]:
    """Return the titles of all conversations there are."""
    return [conversation.title for conversation in services.history.conversations.values()]


async def send(client: httpx.AsyncClient, body: Any, **headers: str) -> httpx.Response:
    return await client.post(PATH, content=json.dumps(body), headers={"content-type": "application/json"} | headers)


async def test_exports_and_conversations_of_chatgpt_are_imported_together(client: httpx.AsyncClient) -> None:
    answer = await send(client, [export("a", "b", title="Ours"), chatgpt("c"), export()])
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["object"], body["not_imported"]) == ("conversation.import", [])
    ids = [imported.pop("id") for imported in body["imported"]]
    assert body["imported"] == [
        {"position": 0, "title": "Ours", "items": 2, "skipped": []},
        {"position": 1, "title": "From afar", "items": 1, "skipped": [{"kind": "image_asset_pointer", "count": 1}]},
        {"position": 2, "title": None, "items": 0, "skipped": []},
    ]
    assert (await client.get(f"/v1/conversations/{ids[0]}")).json()["title"] == "Ours"


async def test_one_export_and_a_whole_account_are_imported(client: httpx.AsyncClient) -> None:
    answer = await send(client, export("a", title="one"))
    assert [imported["title"] for imported in answer.json()["imported"]] == ["one"]
    whole = (await client.get("/v1/me/export")).content
    answer = await client.post(PATH, content=whole)
    assert [imported["title"] for imported in answer.json()["imported"]] == ["one"]
    assert len((await client.get("/v1/conversations")).json()["data"]) == 2


async def test_export_imported_and_exported_again_is_the_same(client: httpx.AsyncClient) -> None:
    given = export("a", "b", "c", title="T", created_at=1.000001, updated_at=2.5, archived=True, metadata={"k": "v"})
    given["conversation"]["active_item_id"] = "1"
    given["items"][1]["item"] |= {"n": 12345678901234567890123, "f": 0.1}
    given["items"][2]["parent_id"] = "0"
    given["items"][2]["feedback"] = {"rating": "negative", "comment": "wrong", "updated_at": 3.5}
    first_id = (await send(client, given)).json()["imported"][0]["id"]
    first = await client.get(f"/v1/conversations/{first_id}/export")
    second_id = (await client.post(PATH, content=first.content)).json()["imported"][0]["id"]
    second = await client.get(f"/v1/conversations/{second_id}/export")
    assert anonymous(first.text) == anonymous(second.text)
    assert "12345678901234567890123" in second.text


def anonymous(text: str) -> str:
    """Return an export with its ids numbered, and without its time."""
    document = json.loads(text)
    document["exported_at"] = 0
    ids = [document["conversation"]["id"], *(item["id"] for item in document["items"])]
    text = json.dumps(document)
    for number, item_id in enumerate(ids):
        text = text.replace(item_id, f"#{number}")
    return text


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda e: e["items"].append(e["items"][0]), "items[2].id: An id occurs twice."),
        (lambda e: e["items"][0].update(parent_id="1"), "items[0].parent_id: No item before"),
        (lambda e: e["items"][1].update(parent_id="9"), "items[1].parent_id: No item before"),
        (lambda e: e["items"][1].update(parent_id=7), "Invalid type for 'items[1].parent_id'"),
        (lambda e: e["items"][1].update(item="text"), "Invalid type for 'items[1].item'"),
        (lambda e: e["items"][1].update(created_at="now"), "'items[1].created_at'"),
        (lambda e: e["items"][1].update(created_at=-1), "'items[1].created_at'"),
        (lambda e: e["items"][1].update(created_at=1e300), "'items[1].created_at'"),
        (lambda e: e["items"][1].update(feedback={"rating": "great"}), "'items[1].feedback.rating'"),
        (lambda e: e["items"][1]["item"].update(x="\ud800"), "'items[1].item' is not JSON that can be stored"),
        (lambda e: e["conversation"].update(active_item_id="9"), "conversation.active_item_id: No item"),
        (lambda e: e["conversation"].update(title=["x"]), "'conversation.title'"),
        (lambda e: e["conversation"].update(title="\ud800"), "half of a surrogate pair"),
        (lambda e: e["items"][1].update(id="\ud800"), "half of a surrogate pair"),
        (lambda e: e["conversation"].update(metadata={"a": 1}), "'conversation.metadata.a'"),
        (lambda e: e["conversation"].update(archived="yes"), "'conversation.archived'"),
        (lambda e: e.update(items={}), "Invalid type for 'items'"),
        (lambda e: e.update(version=2), "'version'"),
        (lambda e: e.update(object="conversation"), "It is neither an export of Rostra's nor"),
        (lambda e: e["items"][1]["item"].update(role="king"), "role"),
    ],
)
async def test_conversation_with_a_fault_is_named_and_the_others_are_imported(
    client: httpx.AsyncClient, services: Services, change: Callable[[Any], Any], reason: str
) -> None:
    faulty = export("a", "b", title="faulty")
    change(faulty)
    answer = await send(client, [export("x", title="good"), faulty, chatgpt("y")])
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert [imported["position"] for imported in body["imported"]] == [0, 2]
    [refused] = body["not_imported"]
    assert refused["position"] == 1
    assert reason in refused["reason"]
    assert stored(services) == ["good", "From afar"]


async def test_where_nothing_is_imported_the_first_fault_is_the_error(client: httpx.AsyncClient) -> None:
    answer = await send(client, [{"title": "x"}, 5 * [1]])
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["param"] == "[0]"
    assert "Nothing was imported. Conversation 0: It is neither" in error["message"]


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"nonsense", b'"text"', b"5", b"null", b"[", b"[[]", b"{", b"{}", b"[[]]", b"[null]", b"[1]"),
        *(b'[{"title":NaN}]', b'[{"a":1e}]', b'[{"a":"\xff"}]', b'[{"a":\x00}]', b'[{"a":1}'),
        b'[{"a":' + b"1" * 5_000 + b"}]",
        b'[{"mapping":{"a":{},"a":{}}}]',
        b"[" * 300_000,
        b"[" + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"]",
        b'{"object":"user.export","conversations":[5]}',
        b'[{"mapping":[]}]',
        b'[{"object":"conversation.export"}]',
        "\ufeff".encode("utf-16"),
    ],
    ids=lambda body: repr(body[:20]),
)
async def test_hostile_body_gets_a_clear_refusal(client: httpx.AsyncClient, services: Services, body: bytes) -> None:
    answer = await client.post(PATH, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["message"]
    assert stored(services) == []


async def test_body_that_says_it_is_something_else_is_refused(client: httpx.AsyncClient) -> None:
    answer = await send(client, export("a"), **{"content-type": "application/zip"})
    assert answer.status_code == 400


@pytest.mark.parametrize("end", [b"", b", nonsense]", b', {"a":NaN}]'])
async def test_body_that_breaks_leaves_nothing(client: httpx.AsyncClient, services: Services, end: bytes) -> None:
    body = json.dumps([export("a", title=str(n)) for n in range(20)]).encode()[:-1] + end
    answer = await client.post(PATH, content=body)
    assert answer.status_code == 400
    assert "not valid JSON" in answer.json()["error"]["message"]
    assert stored(services) == []


async def test_service_that_fails_in_the_middle_leaves_nothing(client: httpx.AsyncClient, services: Services) -> None:
    def fail_at_last(request: pb.ImportConversationRequest) -> None:
        if request.title == "last":
            assert len(stored(services)) == 2
            raise UnavailableError("away", retry_after_seconds=1)

    services.history.before["ImportConversation"] = fail_at_last
    answer = await send(client, [export("a"), export("b"), export("c", title="last")])
    assert answer.status_code == 503
    assert stored(services) == []


async def test_client_that_leaves_in_the_middle_leaves_nothing(
    client: httpx.AsyncClient, gateway: Gateway, services: Services
) -> None:
    arrived = asyncio.Event()

    async def some() -> AsyncIterator[bytes]:
        yield json.dumps([export("a", title=str(n)) for n in range(300)]).encode()[:-1] + b","
        async with asyncio.timeout(10):
            while len(stored(services)) < 300:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
        arrived.set()
        await asyncio.Event().wait()

    sending = asyncio.create_task(client.post(PATH, content=some()))
    await arrived.wait()
    sending.cancel()
    async with asyncio.timeout(10):
        while stored(services):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
    assert not gateway.app.state.edge.import_turns.locked()


async def test_bounds_of_an_import_are_its_own(start_gateway: StartGateway, services: Services) -> None:
    limits = ImportSettings(max_body_bytes=12_000_000, max_conversation_bytes=1_000_000, max_conversations=12)
    gateway = await start_gateway(imports=limits)
    async with connect(gateway, add_alice(services)) as client:
        # More than a request may have otherwise.
        large = await send(client, [export("x" * 900_000, title=str(n)) for n in range(12)])
        assert large.status_code == 200, large.text
        too_large = await send(client, [export("x" * 1_000_000, title="big"), export("a", title="small")])
        assert [refused["title"] for refused in too_large.json()["not_imported"]] == ["big"]
        assert "larger than 1000000 bytes" in too_large.json()["not_imported"][0]["reason"]
        before = len(stored(services))
        for body in ([export()] * 13, [export("x" * 13_000_000)]):
            refused = await send(client, body)
            assert refused.status_code == 413
            assert refused.json()["error"]["code"] == "request_too_large"
        assert len(stored(services)) == before
        assert (await client.post("/v1/conversations", content=b" " * 11_000_000)).status_code == 413


async def test_more_imports_than_have_room_are_asked_to_come_again(
    start_gateway: StartGateway, services: Services
) -> None:
    gateway = await start_gateway(imports=ImportSettings(max_at_once=1))
    release = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield json.dumps([export("a", title="slow")]).encode()[:-1]
        await release.wait()
        yield b"]"

    async with connect(gateway, add_alice(services)) as client:
        first = asyncio.create_task(client.post(PATH, content=slow()))
        async with asyncio.timeout(5):
            while not gateway.app.state.edge.import_turns.locked():  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
        second = await send(client, export("b"))
        assert (second.status_code, second.headers["retry-after"]) == (503, "5")
        release.set()
        assert (await first).status_code == 200
        assert (await send(client, export("b"))).status_code == 200


async def test_import_repeated_under_its_key_runs_once(client: httpx.AsyncClient, services: Services) -> None:
    key = {"idempotency-key": str(uuid4())}
    body = [export("x" * 100_000, title=str(n)) for n in range(3)]
    first = await send(client, body, **key)
    again = await send(client, body, **key)
    assert (again.status_code, again.json()) == (200, first.json())
    assert again.headers["idempotent-replayed"] == "true"
    assert len(stored(services)) == 3
    other = await send(client, [export("other")], **key)
    assert other.status_code == 422
    assert other.json()["error"]["code"] == "idempotency_key_reused"


async def test_another_import_under_the_same_key_is_refused_however_alike_it_begins(
    client: httpx.AsyncClient, services: Services
) -> None:
    key = {"idempotency-key": str(uuid4())}
    one, other = ([export("x" * 100_000, title="same"), export("b", title=title)] for title in ("one", "two"))
    assert (await send(client, one, **key)).status_code == 200
    refused = await send(client, other, **key)
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "idempotency_key_reused")
    assert len(stored(services)) == 2


async def test_refused_import_under_its_key_may_be_mended(client: httpx.AsyncClient, services: Services) -> None:
    key = {"idempotency-key": str(uuid4())}
    long = json.dumps([export("x" * 100_000)])
    wrong = await client.post(PATH, content=long[:-1] + "!", headers={"content-type": "application/json"} | key)
    assert wrong.status_code == 400
    assert (
        await client.post(PATH, content=long, headers={"content-type": "application/json"} | key)
    ).status_code == 200
    assert len(stored(services)) == 1


async def test_import_that_failed_under_its_key_may_run_again(client: httpx.AsyncClient, services: Services) -> None:
    key = {"idempotency-key": str(uuid4())}

    def fail(_: object) -> None:
        raise UnavailableError("away", retry_after_seconds=1)

    services.history.before["ImportConversation"] = fail
    assert (await send(client, export("a"), **key)).status_code == 503
    services.history.before.clear()
    assert (await send(client, export("a"), **key)).status_code == 200
    assert len(stored(services)) == 1


async def test_import_asks_who_it_is_before_it_reads(anyone: httpx.AsyncClient) -> None:
    answer = await send(anyone, export("a"))
    assert answer.status_code == 401
