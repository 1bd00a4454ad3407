"""What a turn remembers of the turns before it, by `previous_response_id` and by `conversation`."""

from typing import Any

import pytest
from openai import AsyncOpenAI, BadRequestError, NotFoundError
from openai.types.responses import Response

from support.provider_reply import GREETING
from support.stack import Journal, said

pytestmark = pytest.mark.e2e

TURNS = ["My name is Marcus.", "I live in Ostia.", "What do you know of me?"]
EXPECTED = [
    ("user", TURNS[0]),
    ("assistant", GREETING),
    ("user", TURNS[1]),
    ("assistant", GREETING),
    ("user", TURNS[2]),
]


def heard(body: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what the provider was given to read: role and text of each message."""
    return [(message["role"], message["content"]) for message in body["messages"]]


async def say(client: AsyncOpenAI, text: str, *, streamed: bool, **context: Any) -> str:
    """Take one turn and return the response's id."""
    if not streamed:
        response: Response = await client.responses.create(model="ok", input=text, **context)
        return response.id
    async with client.responses.stream(model="ok", input=text, **context) as stream:
        return (await stream.get_final_response()).id


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_third_turn_by_response_contains_all_earlier_ones(
    client: AsyncOpenAI, other_client: AsyncOpenAI, journal: Journal, streamed: bool
) -> None:
    first = await say(client, TURNS[0], streamed=streamed)
    second = await say(other_client, TURNS[1], streamed=streamed, previous_response_id=first)
    await say(client, TURNS[2], streamed=streamed, previous_response_id=second)
    assert heard(journal.last) == EXPECTED


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_third_turn_by_conversation_contains_all_earlier_ones(
    client: AsyncOpenAI, other_client: AsyncOpenAI, journal: Journal, streamed: bool
) -> None:
    conversation = (await client.conversations.create()).id
    for number, text in enumerate(TURNS):
        await say((client, other_client)[number % 2], text, streamed=streamed, conversation=conversation)
    assert heard(journal.last) == EXPECTED

    items = [item async for item in client.conversations.items.list(conversation, order="asc")]
    assert said(items) == [*EXPECTED, ("assistant", GREETING)]


async def test_response_names_its_conversation(client: AsyncOpenAI) -> None:
    conversation = await client.conversations.create()
    response = await client.responses.create(model="ok", input="Hello", conversation={"id": conversation.id})
    assert response.conversation
    assert response.conversation.id == conversation.id


async def test_items_of_a_conversation_are_read_by_the_model(client: AsyncOpenAI, journal: Journal) -> None:
    conversation = await client.conversations.create(
        items=[{"type": "message", "role": "user", "content": "My name is Marcus."}]
    )
    await client.conversations.items.create(
        conversation.id, items=[{"type": "message", "role": "user", "content": "I live in Ostia."}]
    )
    await client.responses.create(model="ok", input="Who am I?", conversation=conversation.id)
    assert [text for _, text in heard(journal.last)] == ["My name is Marcus.", "I live in Ostia.", "Who am I?"]


async def test_two_responses_may_continue_the_same_one(client: AsyncOpenAI, journal: Journal) -> None:
    first = await say(client, TURNS[0], streamed=False)
    await say(client, "left", streamed=False, previous_response_id=first)
    await say(client, "right", streamed=False, previous_response_id=first)
    assert [text for _, text in heard(journal.last)] == [TURNS[0], GREETING, "right"]


async def test_instructions_are_not_inherited(client: AsyncOpenAI, journal: Journal) -> None:
    first = await say(client, TURNS[0], streamed=False, instructions="Answer in Latin.")
    assert heard(journal.last)[0] == ("system", "Answer in Latin.")
    second = await say(client, TURNS[1], streamed=False, previous_response_id=first)
    assert "system" not in [role for role, _ in heard(journal.last)]
    await say(client, TURNS[2], streamed=False, previous_response_id=second, instructions="Answer in Greek.")
    assert heard(journal.last) == [("system", "Answer in Greek."), *EXPECTED]


async def test_stored_item_can_be_referred_to(client: AsyncOpenAI, journal: Journal) -> None:
    first = await client.responses.create(model="ok", input="Hello")
    [message] = first.output
    question: list[Any] = [{"type": "item_reference", "id": message.id}, {"role": "user", "content": "Why?"}]
    await client.responses.create(model="ok", input=question)
    assert heard(journal.last) == [("assistant", GREETING), ("user", "Why?")]


async def test_both_kinds_of_context_at_once_are_refused(client: AsyncOpenAI) -> None:
    conversation = await client.conversations.create()
    response = await client.responses.create(model="ok", input="Hello")
    with pytest.raises(BadRequestError):
        await client.responses.create(
            model="ok", input="Hello", previous_response_id=response.id, conversation=conversation.id
        )


async def test_unknown_response_cannot_be_continued(client: AsyncOpenAI, journal: Journal) -> None:
    with pytest.raises(BadRequestError) as raised:
        await client.responses.create(model="ok", input="Hello", previous_response_id="resp_unknown")
    assert (raised.value.code, raised.value.param) == ("previous_response_not_found", "previous_response_id")
    assert journal.bodies == []


async def test_unknown_conversation_is_not_found(client: AsyncOpenAI, journal: Journal) -> None:
    with pytest.raises(NotFoundError):
        await client.responses.create(model="ok", input="Hello", conversation="conv_unknown")
    assert journal.bodies == []
