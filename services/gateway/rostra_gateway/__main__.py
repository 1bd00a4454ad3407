"""Run the gateway: `python -m rostra_gateway`."""

import uvloop

from rostra_gateway.server import serve
from rostra_gateway.settings import Settings
from rostra_kit.logging import configure_logging
from rostra_kit.telemetry.process import new_registry
from rostra_kit.telemetry.tracing import tracing


def main() -> None:
    """Run the gateway until it is told to end."""
    settings = Settings()
    configure_logging("gateway", level=settings.log_level)
    registry = new_registry()
    with tracing("gateway", registry):
        uvloop.run(serve(settings, registry))


if __name__ == "__main__":
    main()
