"""All dashboards, and the files that they make."""

import re

from rostra_observability.boards.business import BUSINESS
from rostra_observability.boards.chat import CHAT
from rostra_observability.boards.datastores import DATASTORES
from rostra_observability.boards.gateway import GATEWAY
from rostra_observability.boards.history import HISTORY
from rostra_observability.boards.kubernetes import KUBERNETES
from rostra_observability.boards.overview import overview
from rostra_observability.boards.runbooks import runbooks
from rostra_observability.boards.user import USER
from rostra_observability.grafana import dashboard, panel_ids
from rostra_observability.panel import Board
from rostra_observability.slo import Promises


def boards(promises: Promises) -> list[Board]:
    """Return every board."""
    return [overview(promises), GATEWAY, CHAT, HISTORY, USER, DATASTORES, KUBERNETES, BUSINESS, runbooks()]


def dashboard_files(promises: Promises) -> dict[str, str]:
    """Return each dashboard's text by the name of its file."""
    all_boards = boards(promises)
    numbers = panel_ids(all_boards[-1])
    files = {f"{board.name}.json": dashboard(board, runbook_panels=numbers) for board in all_boards}
    # Runbooks name one another by their files.
    return {
        name: re.sub(r"\((Rostra\w+)\.md\)", lambda found: f"(/d/rostra-runbooks?viewPanel={numbers[found[1]]})", text)
        for name, text in files.items()
    }
