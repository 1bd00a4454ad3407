"""The runbooks, where whoever is paged looks anyway."""

from rostra_observability.panel import Board, Panel, Row
from rostra_observability.paths import RUNBOOKS

_HEIGHT = 14


def runbooks() -> Board:
    """Return the board: a folded row for each letter would hide names, so each runbook has a row of its own."""
    rows = [
        Row(
            path.stem,
            [Panel(title=path.stem, kind="text", width=24, height=_HEIGHT, text=_linked(path.read_text()))],
            True,
        )
        for path in sorted(RUNBOOKS.glob("*.md"))
    ]
    description = "What each alert means, whom it hurts, and what to do; made from observability/runbooks."
    return Board(name="runbooks", title="Runbooks", description=description, rows=rows)


def _linked(text: str) -> str:
    """Leave the text; links to other files of the repository lead nowhere in Grafana."""
    return text.replace("(../../docs/slo.md)", "(/d/rostra-overview)").partition("\n")[2].strip()
