"""Runs chat: `python -m rostra_chat`."""

from rostra_chat.app import build
from rostra_chat.settings import Settings
from rostra_kit.server import run_service


def main() -> None:
    """Serve until the process is told to end."""
    run_service("chat", Settings(), build)


if __name__ == "__main__":
    main()
