"""Stored chat completions: OpenAI's endpoints, through the SDK and beside it."""

import httpx
import pytest
from openai import AsyncOpenAI, NotFoundError

from services.gateway.tests.conftest import Gateway, Services, add_alice, connect

PATH = "/v1/chat/completions"
TEXT = {"type": "text", "text": "What is this?"}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
AUDIO = {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}


@pytest.fixture
async def sdk(gateway: Gateway, alice: str):
    async with AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=alice, max_retries=0) as sdk:
        yield sdk


@pytest.fixture
def alice_id(services: Services, alice: str) -> str:
    [user_id] = services.user.users
    return user_id


async def test_completion_is_read_changed_and_deleted(sdk: AsyncOpenAI, services: Services, alice_id: str) -> None:
    completion_id = services.chat_completions.add(alice_id, topic="Rome")
    found = await sdk.chat.completions.retrieve(completion_id)
    assert (found.id, found.object, found.model, found.created, found.choices, found.metadata) == (
        completion_id,
        "chat.completion",
        "m",
        1,
        [],
        {"topic": "Rome"},
    )
    changed = await sdk.chat.completions.update(completion_id, metadata={"topic": "Ostia"})
    assert changed == found.model_copy(update={"metadata": {"topic": "Ostia"}})
    assert (await sdk.chat.completions.update(completion_id, metadata=None)).metadata == {}
    deleted = await sdk.chat.completions.delete(completion_id)
    assert (deleted.id, deleted.object, deleted.deleted) == (completion_id, "chat.completion.deleted", True)
    with pytest.raises(NotFoundError) as caught:
        await sdk.chat.completions.retrieve(completion_id)
    assert caught.value.code == "chat_completion_not_found"


async def test_lists_are_oldest_first_paged_and_filtered(sdk: AsyncOpenAI, services: Services, alice_id: str) -> None:
    add = services.chat_completions.add
    ids = [add(alice_id, even=str(n % 2 == 0), **{"a[b]&=": "é ="}) for n in range(5)]
    other = add(alice_id, model="n")
    add("somebody else")
    listed = sdk.chat.completions.list
    assert [each.id async for each in listed(limit=2)] == [*ids, other]
    assert [each.id async for each in listed(order="desc", limit=3)] == [other, *ids[::-1]]
    assert [each.id async for each in listed(model="n")] == [other]
    assert [each.id async for each in listed(metadata={"even": "True"}, limit=1)] == ids[::2]
    assert [each.id async for each in listed(metadata={"even": "False", "a[b]&=": "é ="}, model="m")] == ids[1::2]
    assert [each.id async for each in listed(metadata={"even": "True", "a[b]&=": "e"})] == []
    page = await listed(limit=2, after=ids[0])
    assert (page.has_more, [each.metadata["even"] for each in page.data if each.metadata]) == (True, ["False", "True"])


async def test_list_has_openais_form(client: httpx.AsyncClient, services: Services, alice_id: str) -> None:
    empty = {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}
    assert (await client.get(PATH)).json() == empty
    ids = [services.chat_completions.add(alice_id) for _ in range(2)]
    page = (await client.get(PATH)).json()
    assert (page["object"], page["first_id"], page["last_id"], page["has_more"]) == ("list", *ids, False)


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("metadata=x", "metadata"),
        ("metadata[a=x", "metadata"),
        ("metadata[a]=1&metadata[a]=2", "metadata"),
        ("metadata[%00]=1", "metadata.\x00"),
        (f"metadata[{'k' * 65}]=1", None),
        (f"metadata[k]={'v' * 513}", "metadata.k"),
        ("&".join(f"metadata[{n}]=1" for n in range(17)), "metadata"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("order=up", "order"),
        (f"model={'m' * 257}", "model"),
        (f"after={'m' * 129}", "after"),
        ("after=absent", "after"),
    ],
)
async def test_query_that_cannot_be_is_refused(client: httpx.AsyncClient, query: str, param: str | None) -> None:
    answer = await client.get(f"{PATH}?{query}")
    assert answer.status_code == 400
    if param:
        assert answer.json()["error"]["param"] == param


async def test_unknown_parameters_are_passed_over(client: httpx.AsyncClient) -> None:
    assert (await client.get(f"{PATH}?x=1&metadatum=2")).status_code == 200


@pytest.mark.parametrize(
    ("body", "param"), [({}, "metadata"), ({"metadata": "x"}, "metadata"), ({"metadata": {"k": 1}}, "metadata.k")]
)
async def test_change_that_cannot_be_is_refused(
    client: httpx.AsyncClient, services: Services, alice_id: str, body: dict, param: str
) -> None:
    answer = await client.post(f"{PATH}/{services.chat_completions.add(alice_id)}", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize("name", ["a b", "x" * 129, "%00", "é"])
async def test_what_cannot_be_an_id_is_not_found(client: httpx.AsyncClient, name: str) -> None:
    for path in (f"{PATH}/{name}", f"{PATH}/{name}/messages"):
        answer = await client.get(path)
        assert answer.json()["error"]["code"] == "chat_completion_not_found"


async def test_messages_have_openais_form(client: httpx.AsyncClient, services: Services, alice_id: str) -> None:
    calls = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    completion_id = services.chat_completions.add(
        alice_id,
        {"role": "user", "content": "write a haiku about ai"},
        {"role": "user", "name": "marcus", "content": [TEXT, IMAGE, AUDIO, "x"]},
        {"role": "assistant", "tool_calls": calls},
    )
    page = (await client.get(f"{PATH}/{completion_id}/messages")).json()
    names = [f"{completion_id}-{place}" for place in range(3)]
    nothing = {"name": None, "content_parts": None}
    assert page == {
        "object": "list",
        "data": [
            {"id": names[0], "role": "user", "content": "write a haiku about ai", **nothing},
            {"id": names[1], "role": "user", "content": None, "name": "marcus", "content_parts": [TEXT, IMAGE]},
            {"id": names[2], "role": "assistant", "content": None, "tool_calls": calls, **nothing},
        ],
        "first_id": names[0],
        "last_id": names[2],
        "has_more": False,
    }


async def test_messages_are_paged_through_the_sdk(sdk: AsyncOpenAI, services: Services, alice_id: str) -> None:
    messages = [{"role": "user", "content": str(n)} for n in range(5)]
    completion_id = services.chat_completions.add(alice_id, *messages)
    listed = sdk.chat.completions.messages.list
    assert [each.content async for each in listed(completion_id, limit=2)] == list("01234")
    assert [each.content async for each in listed(completion_id, limit=2, order="desc")] == list("43210")


async def test_somebody_elses_is_not_there(
    gateway: Gateway, services: Services, client: httpx.AsyncClient, alice_id: str
) -> None:
    completion_id = services.chat_completions.add(alice_id, {"role": "user", "content": "secret"})
    async with connect(gateway, add_alice(services)) as other:
        for method, path in (
            ("GET", ""),
            ("POST", ""),
            ("DELETE", ""),
            ("GET", "/messages"),
        ):
            answer = await other.request(method, f"{PATH}/{completion_id}{path}", json={"metadata": {}})
            assert answer.status_code == 404
        assert (await other.get(PATH)).json()["data"] == []
    assert (await client.get(f"{PATH}/{completion_id}")).status_code == 200


@pytest.mark.parametrize(("given", "told"), [({}, False), ({"store": None}, False), ({"store": True}, True)])
@pytest.mark.parametrize("stream", [True, False])
async def test_chat_is_told_what_to_store(
    client: httpx.AsyncClient, services: Services, given: dict, told: bool, stream: bool
) -> None:
    body = {"model": "echo", "messages": [{"role": "user", "content": "Hi"}], "stream": stream}
    assert (await client.post(PATH, json=body | given)).status_code == 200
    assert services.chat.stores == [told]


async def test_store_that_is_no_boolean_is_refused(client: httpx.AsyncClient, services: Services) -> None:
    body = {"model": "echo", "messages": [{"role": "user", "content": "Hi"}], "store": "yes"}
    answer = await client.post(PATH, json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "store")
    assert services.chat.stores == []
