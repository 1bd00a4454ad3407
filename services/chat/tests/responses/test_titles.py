"""A model names a conversation: what it is shown, what is made of what it says, and what it costs."""

import pytest

from rostra.chat.v1.chat_service_pb2 import GenerateTitleRequest
from rostra_chat.errors import ModelNotFound, ProviderUnavailable
from rostra_chat.titles import MAX_TITLE_LENGTH, Titles, clean_title
from rostra_kit.errors import ConflictError, NotFoundError
from rostra_kit.items import normalise_item

FIRST_TURN = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Wo liegt Ostia?"},
    {"type": "reasoning", "summary": []},
    {"role": "assistant", "content": "An der Mündung des Tibers."},
    {"role": "user", "content": "Danke."},
]


class MemoryConversations:
    """`Conversations` in memory."""

    def __init__(self, items):
        self.items = {"conv_1": [normalise_item(item) for item in items]}
        self.titles = {}

    async def first_items(self, conversation_id, *, count):
        if conversation_id not in self.items:
            raise NotFoundError("No such conversation.")
        return self.items[conversation_id][:count]

    async def set_title(self, conversation_id, title):
        if conversation_id not in self.items:
            raise NotFoundError("No such conversation.")
        self.titles[conversation_id] = title


@pytest.fixture
def conversations():
    return MemoryConversations(FIRST_TURN)


async def generate(bench, conversations, *, model="scripted", conversation_id="conv_1"):
    titles = Titles(models=bench, meter=bench.meter, conversations=conversations)
    return await titles.generate(GenerateTitleRequest(conversation_id=conversation_id, model=model))


async def test_title_is_made_from_the_first_turn_and_stored(bench, conversations, chunks):
    bench.provider.script = chunks.says('"Die Lage ', 'von Ostia"\n')
    answer = await generate(bench, conversations)
    assert answer.title == conversations.titles["conv_1"] == "Die Lage von Ostia"
    assert answer.limits
    [body] = bench.provider.bodies
    assert body["messages"][1]["content"] == "user: Wo liegt Ostia?\n\nassistant: An der Mündung des Tibers."
    assert body["max_tokens"] == bench.meter.reserved[0]["max_output_tokens"]
    assert bench.meter.ends == [("FINISHED", 7, 3, False)]


async def test_only_the_beginning_of_long_messages_is_shown(bench, chunks):
    items = [{"role": "user", "content": "x" * 100_000}, {"role": "assistant", "content": "y" * 100_000}]
    await generate(bench, MemoryConversations(items))
    assert len(bench.provider.bodies[0]["messages"][1]["content"]) < 5000


@pytest.mark.parametrize("items", [[], [{"role": "system", "content": "Be brief."}]])
async def test_nothing_to_name_is_a_conflict_and_costs_nothing(bench, items):
    with pytest.raises(ConflictError) as caught:
        await generate(bench, MemoryConversations(items))
    assert caught.value.metadata == {"code": "conversation_empty"}
    assert bench.journal == []


async def test_unknown_conversation_and_model_are_not_found(bench, conversations):
    with pytest.raises(NotFoundError):
        await generate(bench, conversations, conversation_id="conv_2")
    with pytest.raises(ModelNotFound):
        await generate(bench, conversations, model="unknown")
    assert bench.journal == []


async def test_provider_that_fails_leaves_the_title_and_costs_nothing(bench, conversations):
    bench.provider.script = [ProviderUnavailable("away")]
    with pytest.raises(ProviderUnavailable):
        await generate(bench, conversations)
    assert conversations.titles == {}
    assert bench.meter.ends == [("GIVEN BACK",)]


async def test_answer_that_is_no_title_is_an_error_and_paid(bench, conversations, chunks):
    bench.provider.script = chunks.says('"""')
    with pytest.raises(Exception, match="title"):
        await generate(bench, conversations)
    assert conversations.titles == {}
    assert [end[0] for end in bench.meter.ends] == ["FAILED"]


@pytest.mark.parametrize(
    ("said", "title"),
    [
        ("Ostia", "Ostia"),
        ("\n\n  **The Port\tof  Rome**\nand more", "The Port of Rome"),
        ("„Roms Hafen.“", "Roms Hafen"),
        ("« Le port de Rome »", "Le port de Rome"),
        ("「ローマの港」。", "ローマの港"),
        ("<think>A title?\nYes.</think>\nThe Port", "The Port"),
        ("<think>never ends", ""),
        ("It's Rome's port", "It's Rome's port"),
        ("a\x00b\x1b[31m\u202ec", "a b [31m c"),
        ("", ""),
        ("...", ""),
    ],
)
def test_title_is_one_clean_line(said, title):
    assert clean_title(said) == title


@pytest.mark.parametrize("said", ["word " * 50, "x" * 500, "語" * 500])
def test_long_title_is_cut(said):
    title = clean_title(said)
    assert MAX_TITLE_LENGTH - 10 < len(title) <= MAX_TITLE_LENGTH
    assert title.endswith("…")
    assert not title.endswith(" …")
