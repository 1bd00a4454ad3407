"""Counting an input, making it shorter, and naming a conversation: what reaches chat, and what comes back."""

import asyncio

import orjson
import pytest

from services.gateway.tests.fake_chat import ERRORS

COUNT, COMPACT = "/v1/responses/input_tokens", "/v1/responses/compact"


@pytest.fixture
async def title(client):
    conversation = (await client.post("/v1/conversations")).json()
    return f"/v1/conversations/{conversation['id']}/title"


async def test_count_is_answered_in_openais_words(client, services):
    body = {"model": "ok", "input": "Hello", "tools": [], "unknown": 1}
    answer = await client.post(COUNT, json=body)
    assert answer.status_code == 200
    assert answer.json() == {"object": "response.input_tokens", "input_tokens": len(services.chat.bodies[0])}
    assert orjson.loads(services.chat.bodies[0]) == body


@pytest.mark.parametrize("body", [None, {}, {"model": None, "input": None, "personality": "friendly"}])
async def test_count_needs_nothing(client, body):
    assert (await client.post(COUNT, json=body)).status_code == 200


async def test_compaction_is_answered_as_it_comes(client, services):
    answer = await client.post(COMPACT, json={"model": "ok", "input": "Hello"})
    assert answer.status_code == 200
    assert answer.json()["output"][0]["type"] == "compaction"
    assert answer.headers["x-ratelimit-remaining-tokens"] == "990"
    assert services.chat.callers


@pytest.mark.parametrize("path", [COUNT, COMPACT])
@pytest.mark.parametrize(
    ("context", "response_id", "conversation_id"),
    [
        ({"previous_response_id": "resp_1"}, "resp_1", ""),
        ({"conversation": "conv_1"}, "", "conv_1"),
        ({"conversation": {"id": "conv_1"}}, "", "conv_1"),
    ],
)
async def test_what_is_continued_is_told_beside_the_body(client, services, path, context, response_id, conversation_id):
    await client.post(path, json={"model": "ok", **context})
    [state] = services.chat.states
    assert (state.previous_response_id, state.conversation_id) == (response_id, conversation_id)


@pytest.mark.parametrize("path", [COUNT, COMPACT])
@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"model": 5}, "model"),
        ({"model": ""}, "model"),
        ({"model": "ok", "input": 5}, "input"),
        ({"model": "ok", "input": ["x"]}, "input"),
        ({"model": "ok", "input": [{}] * 4097}, "input"),
        ({"model": "ok", "conversation": 5}, "conversation"),
        ({"model": "ok", "previous_response_id": {}}, "previous_response_id"),
    ],
)
async def test_what_cannot_be_is_refused_by_name(client, services, path, body, param):
    answer = await client.post(path, json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"].startswith(param)
    assert services.chat.bodies == []


async def test_compaction_and_title_need_a_model(client, title):
    for path in (COMPACT, title):
        answer = await client.post(path, json={"input": "Hello"})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "model")


@pytest.mark.parametrize("path", [COUNT, COMPACT])
async def test_word_of_streaming_opens_no_stream(client, path):
    answer = await client.post(path, json={"model": "ok", "stream": True})
    assert answer.headers["content-type"] == "application/json"
    assert "x-ratelimit-limit-streams" not in answer.headers


@pytest.mark.parametrize("model", ERRORS)
async def test_trouble_of_chat_is_told(client, title, model):
    statuses = [(await client.post(path, json={"model": model})).status_code for path in (COUNT, COMPACT, title)]
    assert len(set(statuses)) == 1
    assert statuses[0] >= 400


@pytest.mark.parametrize("endpoint", ["compact", "title"])
async def test_client_that_leaves_ends_the_call(client, services, title, endpoint):
    path = COMPACT if endpoint == "compact" else title
    asking = asyncio.create_task(client.post(path, json={"model": "hangs", "input": "Hello"}))
    async with asyncio.timeout(5):
        await services.chat.started.wait()
        asking.cancel()
        await services.chat.cancelled.wait()


async def test_conversation_is_answered_with_its_title(client, services, title):
    conversation_id = title.split("/")[3]
    await client.post(f"/v1/conversations/{conversation_id}", json={"title": "The Port"})
    answer = await client.post(title, json={"model": "ok"})
    assert answer.status_code == 200
    assert (answer.json()["id"], answer.json()["title"]) == (conversation_id, "The Port")
    assert answer.headers["x-ratelimit-remaining-tokens"] == "990"
    assert services.chat.titled == [conversation_id]


async def test_every_one_of_them_counts_and_asks_for_a_credential(client, anyone, title):
    for path in (COUNT, COMPACT, title):
        for body in (b'{"model": "ok"}', b"{"):
            headers = (await client.post(path, content=body)).headers
            assert int(headers["x-ratelimit-remaining-requests"]) < int(headers["x-ratelimit-limit-requests"])
        assert (await anyone.post(path, json={"model": "ok"})).status_code == 401


async def test_repeated_under_its_key_it_runs_once(client, services):
    headers = {"idempotency-key": "once"}
    answers = [await client.post(COMPACT, json={"model": "ok", "input": "x"}, headers=headers) for _ in range(2)]
    assert answers[0].content == answers[1].content
    assert len(services.chat.bodies) == 1
