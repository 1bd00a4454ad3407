"""Draw docs/pictures/*.svg from the Prometheus of a stack in use: `make pictures`.

The provider of one of the stack's two models refuses every call for a while. Needs Prometheus, which
hack/install-servers unpacks where it can.
"""

import asyncio
import json
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from rostra_observability.paths import CHART_DASHBOARDS, PICTURES
from rostra_observability.picture import picture
from rostra_observability.plot import Span
from support.every_use import GOOD, LOG_INS_UNLIMITED, use_everything
from support.faults import failing_provider, in_use, scene_in
from support.panel_data import panel_data
from support.prometheus import Prometheus, prometheus
from support.trace_receiver import TraceReceiver, trace_receiver

BOARDS = ("overview", "gateway", "chat")
# Prometheus finds its targets within five seconds, and rates need some values.
WARM_SECONDS = 15.0
WELL_SECONDS, FAILING_SECONDS, SECONDS = 30.0, 20.0, 90.0
CAPTION = (
    "Drawn on {date} by `make pictures` from the Prometheus of a test stack: {seconds:.0f} s of use, in {failing:.0f}"
    " of which one model's provider failed. Not Grafana's rendering. Times are UTC."
)


async def main() -> None:
    """Use a stack, break it for a while, and draw what was seen."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        async with (
            trace_receiver(data / "traces") as collector,
            scene_in(data, models=[GOOD], environment=settings(collector)) as scene,
            prometheus(data) as server,
            in_use(scene),
            asyncio.TaskGroup() as group,
        ):
            using = use_everything(scene.stack.gateway_urls[0], seconds=WARM_SECONDS + SECONDS, models=[GOOD])
            group.create_task(using)
            await asyncio.sleep(WARM_SECONDS)
            began = time.time()
            await asyncio.sleep(WELL_SECONDS)
            async with failing_provider(scene):
                await asyncio.sleep(FAILING_SECONDS)
            await asyncio.sleep(began + SECONDS - time.time())
            await write_pictures(server, Span(began, began + SECONDS, 1.0))


def settings(collector: TraceReceiver) -> dict[str, str]:
    return LOG_INS_UNLIMITED | {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}


async def write_pictures(server: Prometheus, span: Span) -> None:
    date = datetime.fromtimestamp(span.start, UTC).date().isoformat()
    caption = CAPTION.format(date=date, seconds=SECONDS, failing=FAILING_SECONDS)
    PICTURES.mkdir(exist_ok=True)
    for name in BOARDS:
        dashboard = json.loads((CHART_DASHBOARDS / f"{name}.json").read_text())
        found = await panel_data(server, dashboard, span)
        (PICTURES / f"{name}.svg").write_text(picture(dashboard, found, span=span, caption=caption))


if __name__ == "__main__":
    asyncio.run(main())
