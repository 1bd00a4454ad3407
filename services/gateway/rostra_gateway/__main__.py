"""Run the gateway: `python -m rostra_gateway`."""

import uvloop

from rostra_gateway.server import serve
from rostra_gateway.settings import Settings
from rostra_kit.logging import configure_logging
from rostra_kit.telemetry import tracing


def main() -> None:
    """Run the gateway until it is told to end."""
    settings = Settings()
    configure_logging("gateway", level=settings.log_level)
    with tracing("gateway"):
        uvloop.run(serve(settings))


if __name__ == "__main__":
    main()
