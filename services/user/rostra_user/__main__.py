"""Runs the user service: `python -m rostra_user`."""

from rostra_kit.server import run_service
from rostra_user.app import build
from rostra_user.settings import Settings


def main() -> None:
    """Read the settings and serve until told to stop."""
    run_service("user", Settings(), build)


if __name__ == "__main__":
    main()
