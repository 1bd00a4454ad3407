"""The official SDK talks to the engine, over HTTP and through all of its own code."""

import json
from collections.abc import AsyncIterator

import openai
import pytest
from aiohttp import web
from openai import AsyncOpenAI
from pydantic import BaseModel

from rostra.chat.v1.chat_service_pb2 import CreateResponseRequest, ResponseState, StreamResponseRequest
from rostra_chat.errors import ProviderUnavailable
from rostra_kit.errors import UnavailableError


@pytest.fixture
async def client(bench) -> AsyncIterator[AsyncOpenAI]:
    async def respond(request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        body = json.loads(raw)
        state = ResponseState(store=body.get("store", True))
        if not body.get("stream"):
            asked = CreateResponseRequest(model=body["model"], body=raw, state=state)
            made = await bench.engine.create(asked)
            return web.Response(body=made.body, content_type="application/json")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        async for message in bench.engine.stream(StreamResponseRequest(model=body["model"], body=raw, state=state)):
            # The gateway's heartbeat may come at any time.
            await response.write(message.frames + b": heartbeat\n\n")
        await response.write_eof()
        return response

    application = web.Application()
    application.router.add_post("/v1/responses", respond)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    async with AsyncOpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="sk-test", max_retries=0) as client:
        yield client
    await runner.cleanup()


async def test_answer_is_read(client):
    response = await client.responses.create(model="scripted", input="Hi")

    assert response.output_text == "Hello there"


async def test_raw_stream_is_read_to_the_end(client):
    stream = await client.responses.create(model="scripted", input="Hi", stream=True)
    events = [event async for event in stream]

    assert [event.type for event in events[:3]] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
    ]
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == "Hello there"


async def test_stream_helper_gives_the_final_response(client, bench, chunks):
    bench.provider.script = [chunks.one({"reasoning": "Hm"}), *chunks.says("Hello ", "there")]

    async with client.responses.stream(model="scripted", input="Hi") as stream:
        snapshots = [event.snapshot async for event in stream if event.type == "response.output_text.delta"]
        response = await stream.get_final_response()

    assert snapshots == ["Hello ", "Hello there"]
    assert response.output_text == "Hello there"
    assert [item.type for item in response.output] == ["reasoning", "message"]


async def test_stream_helper_parses_structured_answers(client, bench, chunks):
    class City(BaseModel):
        name: str

    bench.provider.script = chunks.says('{"name":', '"Rome"}')

    async with client.responses.stream(model="scripted", input="Where?", text_format=City) as stream:
        response = await stream.get_final_response()

    assert response.output_parsed == City(name="Rome")
    assert bench.provider.bodies[0]["response_format"]["json_schema"]["name"] == "City"


async def test_stream_helper_follows_parallel_calls(client, bench, chunks):
    bench.provider.script = [
        chunks.one({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "look", "arguments": ""}}]}),
        chunks.one({"tool_calls": [{"index": 1, "id": "b", "function": {"name": "look", "arguments": ""}}]}),
        chunks.one({"tool_calls": [{"index": 0, "function": {"arguments": '{"at": 1}'}}]}),
        chunks.one({"tool_calls": [{"index": 1, "function": {"arguments": '{"at": 2}'}}]}),
        chunks.one({}, "tool_calls"),
    ]
    tool = {"type": "function", "name": "look", "parameters": {"type": "object"}, "strict": False}

    async with client.responses.stream(model="scripted", input="Look", tools=[tool]) as stream:
        response = await stream.get_final_response()

    assert [(item.call_id, item.arguments) for item in response.output] == [("a", '{"at": 1}'), ("b", '{"at": 2}')]


async def test_broken_answer_is_a_failed_response(client, bench, chunks):
    bench.provider.script = [chunks.one({"content": "Hello"}), ProviderUnavailable("The provider is away.")]

    stream = await client.responses.create(model="scripted", input="Hi", stream=True)
    events = [event async for event in stream]

    assert events[-1].type == "response.failed"
    assert events[-1].response.error.message == "The provider is away."


async def test_answer_that_cannot_be_stored_is_an_error(client, bench):
    bench.store.failures["finish"] = UnavailableError("History is away.")

    stream = await client.responses.create(model="scripted", input="Hi", stream=True)
    with pytest.raises(openai.APIError, match="History is away"):
        async for event in stream:
            assert event.type != "response.completed"
