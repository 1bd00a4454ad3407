"""Going on with an answer that broke off, as it is asked for and as `echo` does it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from rostra_chat.catalogue import Model
from rostra_chat.continuation import INSTRUCTION, broken_off, continued
from rostra_chat.providers.echo import EchoProvider

ECHO = Model(id="echo", provider="echo", upstream_name="echo", create_time=datetime.now(UTC))
QUESTION = {"role": "user", "content": "one two three four"}


def body(**more: Any) -> dict[str, Any]:
    return {"model": "echo", "messages": [QUESTION], **more}


def test_answer_so_far_and_the_request_to_go_on_follow_the_question():
    messages = continued(body(), "This is")["messages"]

    assert messages == [
        QUESTION,
        {"role": "assistant", "content": "This is"},
        {"role": "user", "content": INSTRUCTION},
    ]


def test_what_is_asked_can_be_told_from_the_request_to_go_on():
    assert broken_off(continued(body(), "This is")) == (body(), "This is")
    assert broken_off(body()) == (body(), "")


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_length_is_what_is_left_of_it(name):
    assert continued(body(**{name: 100}), "words " * 20)[name] < 100
    assert continued(body(**{name: 10}), "words " * 200)[name] == 1


def test_format_is_not_asked_for_again():
    assert "response_format" not in continued(body(response_format={"type": "json_object"}), "{")


async def test_echo_goes_on_at_every_word():
    provider = EchoProvider(word_delay_seconds=0)
    whole = await text_of(provider, body())
    words = whole.split(" ")
    assert len(words) > 8

    for count in range(1, len(words)):
        said = " ".join(words[:count]) + " "
        assert said + await text_of(provider, continued(body(), said)) == whole
    assert await text_of(provider, continued(body(), whole)) == ""


async def text_of(provider: EchoProvider, asked: dict[str, Any]) -> str:
    frames = [frame for batch in [each async for each in provider.stream(ECHO, asked)] for frame in batch]
    choices = [choice for frame in frames for choice in frame.data["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)
