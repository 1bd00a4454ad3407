"""Write docs/failure-modes.md from the table that the tests play through."""

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))
from support.failure_table import document  # noqa: E402 - found by the line before

if __name__ == "__main__":
    (ROOT / "docs/failure-modes.md").write_text(document())
