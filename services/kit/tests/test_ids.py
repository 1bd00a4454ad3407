"""Names for what is stored."""

import re

from rostra_kit.ids import new_id


def test_id_has_prefix_and_32_digits() -> None:
    assert re.fullmatch(r"resp_[0-9a-f]{32}", new_id("resp"))


def test_ids_differ() -> None:
    assert len({new_id("msg") for _ in range(10_000)}) == 10_000
