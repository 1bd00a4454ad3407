"""What a service finds out in a call is known to who made it, and to nobody else."""

import asyncio
from functools import partial

import pytest

from rostra.chat.v1 import chat_service_pb2 as pb
from rostra.chat.v1.chat_service_pb2_grpc import ChatServiceServicer, ChatServiceStub, add_ChatServiceServicer_to_server
from rostra_kit.errors import AppError, NotFoundError
from rostra_kit.telemetry.facts import collect_facts, note_facts, note_metadata
from rostra_kit.testing.grpc import grpc_client

DESCRIPTOR = pb.DESCRIPTOR.services_by_name["ChatService"]


class Servicer(ChatServiceServicer):
    """Finds out."""

    async def GetModel(self, request, context):
        # In a task of its own, as settlements are.
        await asyncio.create_task(self._find_out(provider="openai", input_tokens=3, first_token_seconds=0.25))
        if request.id == "none":
            raise NotFoundError("No.")
        return pb.GetModelResponse()

    async def StreamChatCompletion(self, request, context):
        yield pb.StreamChatCompletionResponse(frames=b"data: 1\n\n")
        note_facts(output_tokens=7)

    async def ListModels(self, request, context):
        return pb.ListModelsResponse()

    async def _find_out(self, **facts) -> None:
        note_facts(**facts)


@pytest.fixture
async def client():
    async with grpc_client(
        ChatServiceStub, DESCRIPTOR, partial(add_ChatServiceServicer_to_server, Servicer())
    ) as client:
        yield client


@pytest.mark.parametrize("model", ["some", "none"])
async def test_facts_come_back_with_the_end_of_a_call(client, model: str) -> None:
    facts = collect_facts()
    try:
        await client.call(client.stub.GetModel, pb.GetModelRequest(id=model))
    except AppError:
        assert model == "none"
    assert facts == {"provider": "openai", "input_tokens": 3, "first_token_seconds": 0.25}


async def test_facts_come_back_with_the_end_of_a_stream(client) -> None:
    facts = collect_facts()
    async for _ in client.stream(client.stub.StreamChatCompletion, pb.StreamChatCompletionRequest()):
        assert facts == {}
    assert facts == {"output_tokens": 7}


async def test_facts_of_one_call_are_not_the_next_ones(client) -> None:
    await client.call(client.stub.GetModel, pb.GetModelRequest(id="some"))
    facts = collect_facts()
    await client.call(client.stub.ListModels, pb.ListModelsRequest())
    assert facts == {}


def test_other_words_are_no_facts() -> None:
    facts = collect_facts()
    for told in (b'{"user_id": "1", "input_tokens": "many"}', b'{"input_tokens', b"[1]"):
        note_metadata((("rostra-facts-bin", told), ("input_tokens", "1")))
    assert facts == {}
