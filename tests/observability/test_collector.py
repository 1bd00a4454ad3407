"""The collector keeps every trace that tells something, and few of the others, as a real one shows if there is one."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import Span, StatusCode

from rostra_kit.ports import free_port
from rostra_observability.paths import SOURCES
from support.promtool import monitoring_program
from support.server_process import running
from support.stack import eventually
from support.trace_receiver import TraceReceiver, trace_receiver

_TOLD = 20
_UNTOLD = 300
_PORTS = (4317, 4318, 13133)

# What makes a trace worth keeping, by the name of its span; each says when the span ends, if not now.
KEPT: dict[str, Callable[[Span], int | None]] = {
    "failed": lambda span: span.set_status(StatusCode.ERROR),
    "5xx": lambda span: span.set_attribute("http.response.status_code", 503),
    "first token after 3 s": lambda span: span.set_attribute("gen_ai.response.time_to_first_chunk", 3.0),
    "11 s": lambda _: time.time_ns() + 11_000_000_000,
}


async def test_errors_and_slow_requests_are_kept_and_few_of_the_rest(tmp_path: Path) -> None:
    async with trace_receiver(tmp_path / "traces") as receiver, collector(receiver, tmp_path) as endpoint:
        await asyncio.to_thread(send, endpoint)
        await eventually(lambda: has_all(receiver), within_seconds=30)
    kept = Counter(span.name for span in receiver.spans())
    assert {name: kept[name] for name in KEPT} == dict.fromkeys(KEPT, _TOLD)
    assert kept["quick"] < _UNTOLD / 4


async def has_all(receiver: TraceReceiver) -> bool:
    kept = Counter(span.name for span in receiver.spans())
    return all(kept[name] == _TOLD for name in KEPT)


@asynccontextmanager
async def collector(receiver: TraceReceiver, folder: Path) -> AsyncIterator[str]:
    """Run the collector as it is configured, but for its ports and its patience."""
    program = monitoring_program("otelcol-contrib", "otelcol")
    text = (SOURCES / "collector/config.yaml").read_text().replace("decision_wait: 2m", "decision_wait: 2s")
    ports = {port: free_port() for port in _PORTS}
    for usual, free in ports.items():
        text = text.replace(f":{usual}\n", f":{free}\n")
    (folder / "collector.yaml").write_text(text)
    endpoint = receiver.url.removeprefix("http://")
    command = ["env", f"JAEGER_ENDPOINT={endpoint}", program, f"--config={folder / 'collector.yaml'}"]
    with running(command, log=folder / "log"):
        await eventually(lambda: listens(ports[4317]), within_seconds=30)
        yield f"http://127.0.0.1:{ports[4317]}"


async def listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def send(endpoint: str) -> None:
    """Send traces of one span each."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(endpoint=endpoint, insecure=True)))
    tracer = provider.get_tracer("test")
    for name, end in KEPT.items():
        for _ in range(_TOLD):
            span = tracer.start_span(name)
            span.end(end(span))
    for _ in range(_UNTOLD):
        tracer.start_span("quick").end()
    provider.shutdown()
