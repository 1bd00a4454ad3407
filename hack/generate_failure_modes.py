"""Write docs/failure-modes.md from the table that the tests play through."""

from pathlib import Path

from support.failure_document import document

if __name__ == "__main__":
    (Path(__file__).parent.parent / "docs/failure-modes.md").write_text(document())
