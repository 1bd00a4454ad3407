"""Counting inputs and making long ones short through the official Python SDK."""

from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI, BadRequestError, NotFoundError
from openai.types.responses import CompactedResponse, FunctionToolParam, ResponseCompactionItem

from support.provider_reply import GREETING
from support.stack import Account, Journal, eventually

pytestmark = [
    pytest.mark.e2e,
    # The SDK's types know no message of the user's in an output, though OpenAI's own compactions are full of them.
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning"),
]

LOOK: FunctionToolParam = {"type": "function", "name": "look", "parameters": {"type": "object"}, "strict": False}
TURNS: list[Any] = [
    {"role": "user", "content": "My name is Livia."},
    {"role": "assistant", "content": "Salve, Livia."},
    {"role": "user", "content": "I live in Ostia."},
    {"role": "assistant", "content": "By the sea."},
]


def compaction_of(compacted: CompactedResponse) -> ResponseCompactionItem:
    """Return the item that stands for the rest: the last one."""
    item = compacted.output[-1]
    assert isinstance(item, ResponseCompactionItem)
    return item


def as_input(compacted: CompactedResponse) -> list[Any]:
    """Return the output as the input of the next response: the SDK takes its own objects, whatever its types say."""
    return list(compacted.output)


async def test_input_is_counted(client: AsyncOpenAI, journal: Journal) -> None:
    short = await client.responses.input_tokens.count(model="ok", input="Hello")
    long = await client.responses.input_tokens.count(
        model="ok",
        input=TURNS,
        instructions="Be brief.",
        tools=[LOOK],
        tool_choice="auto",
        parallel_tool_calls=True,
        reasoning={"effort": "low"},
        text={"format": {"type": "text"}},
        truncation="auto",
        personality="friendly",
    )
    assert short.object == "response.input_tokens"
    assert 0 < short.input_tokens < long.input_tokens
    assert (await client.responses.input_tokens.count(input="Hello")).input_tokens == short.input_tokens
    assert journal.bodies == []


async def test_count_is_what_echo_counts(client: AsyncOpenAI) -> None:
    counted = await client.responses.input_tokens.count(model="echo", input=TURNS)
    response = await client.responses.create(model="echo", input=TURNS)
    assert response.usage
    assert counted.input_tokens == response.usage.input_tokens


async def test_context_is_counted(client: AsyncOpenAI, other_client: AsyncOpenAI) -> None:
    conversation = await client.conversations.create(items=TURNS)
    first = await client.responses.create(model="ok", input="Hello, all of you.")
    alone = (await client.responses.input_tokens.count(input="Hi")).input_tokens
    for context in ({"conversation": conversation.id}, {"previous_response_id": first.id}):
        counted = await other_client.responses.input_tokens.count(input="Hi", **context)  # type: ignore[arg-type]
        assert counted.input_tokens > alone


@pytest.mark.parametrize("model", ["ok", "echo"])
async def test_compacted_input_goes_on_through_the_other_gateway(
    client: AsyncOpenAI, other_client: AsyncOpenAI, journal: Journal, model: str
) -> None:
    compacted = await client.responses.compact(model=model, input=TURNS, instructions="Be brief.")
    assert compacted.object == "response.compaction"
    assert compacted.usage.total_tokens == compacted.usage.input_tokens + compacted.usage.output_tokens > 0
    item = compaction_of(compacted)
    assert item.id.startswith("cmp_")
    assert [entry.type for entry in compacted.output] == ["message", "message", "compaction"]

    await other_client.responses.create(model="ok", input=[*as_input(compacted), {"role": "user", "content": "Ave."}])
    texts = [message["content"] for message in journal.last["messages"]]
    assert texts[:2] == ["My name is Livia.", "I live in Ostia."]
    assert (GREETING if model == "ok" else "Salve, Livia.") in texts[2]
    assert texts[3:] == ["Ave."]


async def test_what_a_response_continues_is_compacted_and_stays_as_it_is(
    client: AsyncOpenAI, other_client: AsyncOpenAI, journal: Journal
) -> None:
    first = await client.responses.create(model="ok", input="My name is Livia.")
    compacted = await client.responses.compact(model="ok", previous_response_id=first.id)
    assert journal.last["messages"][1]["content"] == f"user: My name is Livia.\n\nassistant: {GREETING}"

    second = await client.responses.create(model="ok", input=as_input(compacted))
    await other_client.responses.create(model="ok", input="Go on.", previous_response_id=second.id)
    assert "summary" in journal.last["messages"][1]["content"]
    assert await client.responses.retrieve(first.id) == first


async def test_compaction_lives_in_a_conversation(client: AsyncOpenAI, journal: Journal) -> None:
    compacted = await client.responses.compact(model="ok", input=TURNS)
    conversation = await client.conversations.create(items=as_input(compacted))
    items = [item async for item in client.conversations.items.list(conversation.id, order="asc")]
    assert [item.type for item in items] == ["message", "message", "compaction"]
    await client.responses.create(model="ok", input="Go on.", conversation=conversation.id)
    assert journal.last["messages"][0]["content"] == "My name is Livia."
    assert GREETING in journal.last["messages"][2]["content"]


async def test_compaction_is_in_the_ledger_as_it_was_answered(
    client: AsyncOpenAI, http: httpx.AsyncClient, account: Account
) -> None:
    compacted = await client.responses.compact(model="ok", input=TURNS)

    async def is_there() -> bool:
        used = (await http.get("/v1/usage", headers=account.key)).json()["data"]
        return [(each["requests"], each["input_tokens"], each["output_tokens"]) for each in used] == [
            (1, compacted.usage.input_tokens, compacted.usage.output_tokens)
        ]

    await eventually(is_there, within_seconds=5)


@pytest.mark.parametrize("model", ["status-429", "status-503"])
async def test_compaction_that_fails_costs_nothing(
    client: AsyncOpenAI, http: httpx.AsyncClient, account: Account, model: str
) -> None:
    with pytest.raises(Exception, match=r"\d{3}"):
        await client.responses.compact(model=model, input="Hello")
    compacted = await client.responses.compact(model="ok", input=TURNS)

    async def is_alone() -> bool:
        used = (await http.get("/v1/usage", headers=account.key)).json()["data"]
        return [(each["model"], each["input_tokens"]) for each in used] == [("ok", compacted.usage.input_tokens)]

    await eventually(is_alone, within_seconds=5)


@pytest.mark.parametrize("content", ["gAAAAABpM0Yj-damaged", "rostra1.AAAA"])
async def test_damaged_compaction_is_refused_by_its_place(client: AsyncOpenAI, content: str) -> None:
    items: list[Any] = [{"role": "user", "content": "Hi"}, {"type": "compaction", "encrypted_content": content}]
    for attempt in (
        client.responses.create(model="ok", input=items),
        client.responses.input_tokens.count(input=items),
        client.responses.compact(model="ok", input=items),
    ):
        with pytest.raises(BadRequestError) as raised:
            await attempt
        assert (raised.value.param, raised.value.code) == ("input[1].encrypted_content", "invalid_encrypted_content")
    with pytest.raises(BadRequestError) as raised:
        await client.conversations.create(items=items)
    assert raised.value.param == "items[1].encrypted_content"


async def test_unknown_models_and_contexts_are_refused_as_everywhere(client: AsyncOpenAI) -> None:
    with pytest.raises(NotFoundError) as raised:
        await client.responses.compact(model="no-such-model", input="Hello")
    assert raised.value.code == "model_not_found"
    with pytest.raises(NotFoundError):
        await client.responses.input_tokens.count(model="no-such-model", input="Hello")
    with pytest.raises(BadRequestError) as refused:
        await client.responses.compact(model="ok", previous_response_id="resp_none")
    assert refused.value.code == "previous_response_not_found"
    with pytest.raises(BadRequestError) as empty:
        await client.responses.compact(model="ok")
    assert empty.value.param == "input"
