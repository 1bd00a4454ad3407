"""The engine with the real client of OpenAI-compatible servers, and a server that is good, slow or broken."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import orjson
import pytest

from rostra.chat.v1.chat_service_pb2 import ResponseState
from rostra_chat.catalogue import Model
from rostra_chat.providers.echo import EchoProvider
from rostra_chat.providers.openai import OpenAIProvider
from rostra_chat.responses.store import Context
from rostra_chat.settings import ProviderSettings
from rostra_kit.errors import AppError
from support.provider import ScriptedProvider

TOOL = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


@pytest.fixture
async def server():
    async with ScriptedProvider() as server:
        yield server


@pytest.fixture
async def ask(bench, server):
    """Stream a response of one of the server's models."""
    settings = ProviderSettings(first_byte_timeout_seconds=0.3, idle_timeout_seconds=0.3)
    async with OpenAIProvider.open(base_url=server.base_url, api_key=None, settings=settings) as provider:
        bench.provider = provider

        async def ask(name, **body):
            bench.model = Model(id=name, provider="openai", upstream_name=name, create_time=datetime.now(UTC))
            return await bench.events(model=name, **body)

        yield ask


async def test_text_arrives_whole(ask):
    response = (await ask("ok-50-0"))[-1]["response"]

    assert response["status"] == "completed"
    assert response["output"][0]["content"][0]["text"] == " ".join(f"word-{number}" for number in range(1, 51))
    assert response["usage"]["output_tokens"] == 50


@pytest.mark.parametrize(
    ("model", "status", "kinds"),
    [
        ("reasoning", "completed", ["reasoning", "message"]),
        ("refusal", "completed", ["message"]),
        ("length", "incomplete", ["message"]),
        ("json", "completed", ["message"]),
    ],
)
async def test_every_kind_of_answer_ends_as_it_should(ask, model, status, kinds):
    response = (await ask(model))[-1]["response"]

    assert response["status"] == status
    assert [item["type"] for item in response["output"]] == kinds


async def test_tool_round_trip(ask, bench):
    called = (await ask("tool", tools=[TOOL]))[-1]["response"]
    (call,) = called["output"]
    assert orjson.loads(call["arguments"]) == {"city": "Paris"}
    (question,) = bench.store.inputs[called["id"]]

    bench.store.context = Context(items=(question, call))
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "Rain in Paris."}
    state = ResponseState(store=True, previous_response_id=called["id"])
    answered = (await ask("tool", tools=[TOOL], input=[output], state=state))[-1]["response"]

    assert answered["output"][0]["content"][0]["text"] == "Rain in Paris."


@pytest.mark.parametrize(
    "model", ["status-400", "status-401", "status-404", "status-429", "status-500", "stall-first-byte", "not-json"]
)
async def test_trouble_before_the_answer_is_raised_and_free(ask, bench, model):
    with pytest.raises(AppError):
        await ask(model)

    assert bench.store.only["status"] == "failed"
    assert bench.meter.ends == [("GIVEN BACK",)]


@pytest.mark.parametrize(
    "model", ["stall-mid-stream", "broken-chunk", "close-mid-stream", "close-mid-body", "error-mid-stream"]
)
async def test_trouble_within_the_answer_is_a_failed_response(ask, bench, model):
    events = await ask(model)

    assert events[-1]["type"] == "response.failed"
    assert events[-1]["response"]["output"][0]["content"][0]["text"]
    assert bench.store.only["status"] == "failed"
    assert [end[0] for end in bench.meter.ends] == ["FAILED"]


async def test_client_that_leaves_cuts_the_call_of_the_server(ask, bench, server):
    call = asyncio.create_task(ask("long-500-20"))
    await server.wait_for_chats()

    call.cancel()
    await asyncio.wait({call})

    await server.wait_for_cancelled()


async def test_echo_calls_a_tool_and_answers_from_its_output(bench):
    bench.provider = EchoProvider(word_delay_seconds=0)
    bench.model = replace(bench.model, id="echo", upstream_name="echo")

    call = (await bench.create(model="echo", tools=[TOOL]))["output"][-1]
    assert call["name"] == "weather"
    question = {"type": "message", "role": "user", "content": "Weather?"}
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "Rain in Paris."}
    answered = await bench.create(model="echo", tools=[TOOL], input=[question, call, output])

    assert "Rain in Paris." in answered["output"][-1]["content"][0]["text"]
