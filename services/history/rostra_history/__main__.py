"""Run the history service: `python -m rostra_history`."""

from rostra_history.app import build
from rostra_history.settings import Settings
from rostra_kit.server import run_service


def main() -> None:
    """Serve until SIGTERM."""
    run_service("history", Settings(), build)


if __name__ == "__main__":
    main()
