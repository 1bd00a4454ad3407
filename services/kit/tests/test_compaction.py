"""The envelope of summaries: what was sealed is read, and what is not whole is refused by name."""

import base64

import pytest

from rostra_kit.compaction import open_summary, seal_summary
from rostra_kit.errors import InvalidArgumentError

PARAM = "input[1].encrypted_content"
SEALED = seal_summary("The user likes Ostia.")


@pytest.mark.parametrize("summary", ["", "Ostia", "Ὄστια 🏛\n\x00", "word " * 50_000])
def test_sealed_summary_is_read(summary):
    assert open_summary(seal_summary(summary), param=PARAM) == summary


def test_half_a_character_does_not_break_the_envelope():
    assert open_summary(seal_summary("a\ud800b"), param=PARAM) == "a?b"


def test_envelope_is_hardly_longer_than_what_is_in_it():
    assert len(seal_summary("x" * 30_000)) < 30_000 * 1.4


@pytest.mark.parametrize(
    "envelope",
    [
        "",
        "gAAAAABpM0Yj",
        "rostra1.",
        "rostra2." + SEALED.removeprefix("rostra1."),
        SEALED[:-4],
        SEALED[:-1],
        SEALED + "AAAA",
        SEALED[:20] + ("A" if SEALED[20] != "A" else "B") + SEALED[21:],
        SEALED + "ü",
        "rostra1." + base64.b64encode(b"\0\0\0\0").decode()[:-1],
        "rostra1.\ud800",
    ],
)
def test_damaged_envelope_is_refused_by_name(envelope):
    with pytest.raises(InvalidArgumentError) as caught:
        open_summary(envelope, param=PARAM)
    assert caught.value.param == PARAM
    assert caught.value.metadata == {"code": "invalid_encrypted_content"}
