"""Conversations and their items."""

import httpx
import pytest
from openai import AsyncOpenAI, NotFoundError

from rostra.common.v1.caller_pb2 import Limits
from services.gateway.tests.conftest import Gateway, Services

PATH = "/v1/conversations"
MESSAGE = {"type": "message", "role": "user", "content": "Hello."}


@pytest.fixture
async def sdk(gateway: Gateway, alice: str):
    async with AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=alice, max_retries=0) as client:
        yield client


async def test_official_sdk_goes_through_the_life_of_a_conversation(sdk: AsyncOpenAI) -> None:
    conversation = await sdk.conversations.create(items=[MESSAGE], metadata={"topic": "greeting"})
    assert conversation.object == "conversation"
    assert (await sdk.conversations.retrieve(conversation.id)) == conversation
    changed = await sdk.conversations.update(conversation.id, metadata={"topic": "other"})
    assert changed.metadata == {"topic": "other"}

    added = await sdk.conversations.items.create(conversation.id, items=[MESSAGE, MESSAGE])
    assert (added.object, added.has_more, len(added.data)) == ("list", False, 2)
    assert (added.first_id, added.last_id) == (added.data[0].id, added.data[1].id)
    listed = [item async for item in sdk.conversations.items.list(conversation.id, limit=1, order="asc")]
    assert [item.id for item in listed][1:] == [item.id for item in added.data]
    assert listed[0].content[0].text == "Hello."

    item = await sdk.conversations.items.retrieve(listed[0].id, conversation_id=conversation.id)
    assert item == listed[0]
    left = await sdk.conversations.items.delete(item.id, conversation_id=conversation.id)
    assert left.id == conversation.id
    with pytest.raises(NotFoundError):
        await sdk.conversations.items.retrieve(item.id, conversation_id=conversation.id)

    deleted = await sdk.conversations.delete(conversation.id)
    assert (deleted.id, deleted.object, deleted.deleted) == (conversation.id, "conversation.deleted", True)
    with pytest.raises(NotFoundError):
        await sdk.conversations.retrieve(conversation.id)


async def test_empty_body_creates_an_empty_conversation(client: httpx.AsyncClient) -> None:
    answer = await client.post(PATH)
    assert answer.status_code == 200
    assert answer.json()["updated_at"] == answer.json()["created_at"]
    assert answer.json() | {"id": "", "created_at": 0, "updated_at": 0} == {
        "id": "",
        "object": "conversation",
        "created_at": 0,
        "updated_at": 0,
        "metadata": {},
        "title": None,
        "archived": False,
        "active_item_id": None,
    }


async def test_all_conversations_are_listed_by_pages(client: httpx.AsyncClient) -> None:
    names = [(await client.post(PATH)).json()["id"] for _ in range(3)]
    first = (await client.get(PATH, params={"limit": 2})).json()
    assert [conversation["id"] for conversation in first["data"]] == [names[2], names[1]]
    assert (first["object"], first["first_id"], first["last_id"], first["has_more"]) == (
        "list",
        names[2],
        names[1],
        True,
    )
    second = (await client.get(PATH, params={"limit": 2, "after": first["last_id"]})).json()
    assert [conversation["id"] for conversation in second["data"]] == [names[0]]
    assert second["has_more"] is False
    upwards = (await client.get(PATH, params={"order": "asc"})).json()
    assert [conversation["id"] for conversation in upwards["data"]] == names


async def test_archived_conversation_is_listed_apart(client: httpx.AsyncClient) -> None:
    away, there = [(await client.post(PATH)).json()["id"] for _ in range(2)]
    archived = (await client.post(f"{PATH}/{away}", json={"archived": True})).json()
    assert archived["archived"] is True
    assert await listed(client) == [there]
    assert await listed(client, archived="true") == [away]
    await client.post(f"{PATH}/{away}", json={"archived": False, "title": None})
    assert await listed(client) == [there, away]


async def test_conversations_are_listed_by_either_time(client: httpx.AsyncClient, services: Services) -> None:
    ids = [(await client.post(PATH)).json()["id"] for _ in range(3)]
    for second, conversation in enumerate(services.history.conversations.values()):
        conversation.create_time.FromSeconds(1000 + second)
        conversation.update_time.FromSeconds(3000 - second)
    assert await listed(client) == await listed(client, order_by="created_at") == ids[::-1]
    assert await listed(client, order_by="updated_at") == ids
    assert (await client.get(f"{PATH}/{ids[0]}")).json()["updated_at"] == 3000
    assert await listed(client, created_after="1001") == [ids[2], ids[1]]
    assert await listed(client, created_before="1001") == [ids[0]]
    assert await listed(client, created_after="1000", created_before="1000") == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("archived", "perhaps"),
        ("order_by", "title"),
        ("created_after", "yesterday"),
        ("created_after", "-1"),
        ("created_before", "9" * 30),
        ("limit", "0"),
        ("order", "up"),
    ],
)
async def test_wrong_list_is_400_and_named(client: httpx.AsyncClient, name: str, value: str) -> None:
    answer = await client.get(PATH, params={name: value})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, name)


async def listed(client: httpx.AsyncClient, **query: str) -> list[str]:
    return [conversation["id"] for conversation in (await client.get(PATH, params=query)).json()["data"]]


async def test_branches_are_begun_and_listed(client: httpx.AsyncClient) -> None:
    name = (await client.post(PATH, json={"items": [MESSAGE, MESSAGE]})).json()["id"]
    path = f"{PATH}/{name}"
    second, first = [item["id"] for item in (await client.get(f"{path}/items")).json()["data"]]
    assert (await client.get(path)).json()["active_item_id"] == second
    assert (await client.get(f"{path}/forks")).json() == {
        "object": "list",
        "data": [],
        "first_id": None,
        "last_id": None,
        "has_more": False,
    }
    assert (await client.post(path, json={"active_item_id": first})).json()["active_item_id"] == first
    edited = (await client.post(f"{path}/items", json={"items": [MESSAGE]})).json()["first_id"]
    fork = {
        "object": "conversation.fork",
        "id": second,
        "parent_id": first,
        "branches": [
            {"item_id": second, "leaf_id": second, "active": False},
            {"item_id": edited, "leaf_id": edited, "active": True},
        ],
    }
    assert (await client.get(f"{path}/forks")).json()["data"] == [fork]
    assert (await client.post(path, json={"active_item_id": None})).json()["active_item_id"] is None
    anew = (await client.post(f"{path}/items", json={"items": [MESSAGE]})).json()["first_id"]
    at_the_root = (await client.get(f"{path}/forks")).json()["data"][0]
    assert (at_the_root["parent_id"], at_the_root["branches"][1]["item_id"]) == (None, anew)
    kept = (await client.post(path, json={"title": "Other"})).json()
    assert kept["active_item_id"] == anew


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"active_item_id": ""}, 400, "active_item_id"),
        ({"active_item_id": 7}, 400, "active_item_id"),
        ({"active_item_id": "a b"}, 400, "active_item_id"),
        ({"active_item_id": "a" * 129}, 400, "active_item_id"),
        ({"archived": "yes"}, 400, "archived"),
        ({"active_item_id": "msg_unknown"}, 404, None),
    ],
)
async def test_wrong_change_is_refused_and_named(
    client: httpx.AsyncClient, body: dict, status: int, param: str | None
) -> None:
    name = (await client.post(PATH)).json()["id"]
    answer = await client.post(f"{PATH}/{name}", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)


async def test_list_of_nothing_has_no_ids(client: httpx.AsyncClient) -> None:
    assert (await client.get(PATH)).json() == {
        "object": "list",
        "data": [],
        "first_id": None,
        "last_id": None,
        "has_more": False,
    }


async def test_title_is_changed_without_the_metadata_and_the_reverse(client: httpx.AsyncClient) -> None:
    name = (await client.post(PATH, json={"metadata": {"a": "b"}})).json()["id"]
    answer = await client.post(f"{PATH}/{name}", json={"title": "Greeting"})
    assert (answer.json()["title"], answer.json()["metadata"]) == ("Greeting", {"a": "b"})
    answer = await client.post(f"{PATH}/{name}", json={"metadata": {"c": "d"}})
    assert (answer.json()["title"], answer.json()["metadata"]) == ("Greeting", {"c": "d"})


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"items": [MESSAGE] * 21}, "items"),
        ({"items": "x"}, "items"),
        ({"items": [1]}, "items[0]"),
        ({"metadata": {str(number): "" for number in range(17)}}, "metadata"),
        ({"metadata": {"a" * 65: ""}}, "metadata." + "a" * 65),
        ({"metadata": {"a": "b" * 513}}, "metadata.a"),
        ({"metadata": {"a\0": "b"}}, "metadata.a\0"),
    ],
)
async def test_wrong_conversation_is_400_and_named(client: httpx.AsyncClient, body: dict, param: str) -> None:
    answer = await client.post(PATH, json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


@pytest.mark.parametrize("body", [{}, {"items": []}, {"items": [MESSAGE] * 21}])
async def test_one_to_twenty_items_are_appended_at_once(client: httpx.AsyncClient, body: dict) -> None:
    name = (await client.post(PATH)).json()["id"]
    answer = await client.post(f"{PATH}/{name}/items", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "items")


async def test_item_passes_as_it_is_stored(client: httpx.AsyncClient, services: Services) -> None:
    text = "\0 \U0001f600   'x'"
    name = (await client.post(PATH, json={"items": [MESSAGE | {"content": text, "new": 1.5}]})).json()["id"]
    (items,) = services.history.items.values()
    answer = await client.get(f"{PATH}/{name}/items/{items[0].id}")
    assert answer.content == items[0].body
    assert answer.json()["content"][0]["text"] == text
    assert answer.json()["new"] == 1.5


async def test_response_is_read_listed_and_deleted(client: httpx.AsyncClient, services: Services) -> None:
    (user,) = services.user.users
    name = services.history.add_response(user, b'{"object":"response","output":null}')
    answer = await client.get(f"/v1/responses/{name}")
    assert answer.json()["output"][0]["content"][0]["text"] == "Hello."
    assert (await client.get(f"/v1/responses/{name}/input_items")).json()["has_more"] is False
    assert (await client.delete(f"/v1/responses/{name}")).json() == {"id": name, "object": "response", "deleted": True}
    assert (await client.get(f"/v1/responses/{name}")).status_code == 404


async def test_every_call_is_counted(client: httpx.AsyncClient, services: Services) -> None:
    (user,) = services.user.users.values()
    user.limits.CopyFrom(Limits(requests_per_minute=2))
    statuses = [(await client.get(f"{PATH}/conv_none")).status_code for _ in range(3)]
    assert statuses == [404, 404, 429]
