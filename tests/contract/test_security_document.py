"""SECURITY.md names what proves it, and leaves out no risk."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "SECURITY.md").read_text("utf-8")


def test_every_test_that_is_named_exists() -> None:
    named = set(re.findall(r"`([\w/]+/test_\w+\.py)`", DOCUMENT))
    assert len(named) > 25
    assert not [path for path in named if not (ROOT / path).is_file()]


def test_every_risk_has_a_row_with_a_test() -> None:
    rows = {line.split()[1]: line for line in DOCUMENT.splitlines() if re.match(r"\| (API|LLM)\d", line)}
    assert set(rows) == {f"API{n}" for n in range(1, 11)} | {f"LLM{n:02}" for n in range(1, 11)}
    assert not [risk for risk, row in rows.items() if "/test_" not in row.split("|")[3]]
