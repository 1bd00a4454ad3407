from datetime import UTC, datetime

import pytest

from rostra_chat.catalogue import Model
from rostra_chat.responses.truncation import truncate

SYSTEM = {"role": "system", "content": "Be brief."}
CALL = {"role": "assistant", "content": None, "tool_calls": []}
OUTPUT = {"role": "tool", "tool_call_id": "a", "content": "word " * 50}


def says(role, mark, length=50):
    return {"role": role, "content": mark + " word" * length}


def truncated(messages, *, window, **more):
    model = Model(id="m", provider="p", upstream_name="u", context_window=window, create_time=datetime.now(UTC))
    return truncate({"messages": messages, **more}, model=model)["messages"]


EXCHANGES = [
    *(says("user", "one"), CALL, OUTPUT, says("assistant", "first")),
    *(says("user", "two"), says("assistant", "second")),
    says("user", "three"),
]


@pytest.mark.parametrize("window", [0, 1000])
def test_what_fits_stays_whole(window):
    assert truncated([SYSTEM, *EXCHANGES], window=window) == [SYSTEM, *EXCHANGES]


def test_oldest_exchange_goes_whole_and_instructions_stay():
    assert truncated([SYSTEM, *EXCHANGES], window=200) == [SYSTEM, *EXCHANGES[4:]]


def test_room_for_the_answer_counts():
    assert truncated([SYSTEM, *EXCHANGES], window=300, max_tokens=200) == [SYSTEM, EXCHANGES[-1]]


def test_last_exchange_stays_even_where_it_does_not_fit():
    assert truncated([SYSTEM, *EXCHANGES], window=10) == [SYSTEM, EXCHANGES[-1]]


def test_chat_without_a_message_of_the_user_stays_as_it_is():
    assert truncated([SYSTEM, says("assistant", "one")], window=10) == [SYSTEM, says("assistant", "one")]
