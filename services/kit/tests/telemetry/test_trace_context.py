"""A trace goes on from hop to hop, also through a process that records nothing."""

import asyncio
from collections.abc import Callable

import pytest
from opentelemetry import trace

from rostra_kit.telemetry.trace_context import (
    begin_trace,
    current_traceparent,
    exemplar,
    join_trace,
    link_to,
    outgoing_trace,
)

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def in_task(work: Callable[[], object]) -> object:
    """Do `work` in a task, which has a context of its own."""

    async def run() -> object:
        return work()

    return await asyncio.create_task(run())


@pytest.mark.parametrize("begin", [begin_trace, join_trace])
async def test_trace_that_came_in_goes_out(begin: Callable[..., trace.Span]) -> None:
    def hop() -> list[tuple[str, str]]:
        begin("request", {"traceparent": TRACEPARENT, "tracestate": "vendor=1"})
        return outgoing_trace()

    assert await in_task(hop) == [("traceparent", TRACEPARENT), ("tracestate", "vendor=1")]


@pytest.mark.parametrize(
    "malformed",
    [
        "",
        "00",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01\r\nx: y",
    ],
)
async def test_malformed_trace_is_passed_over(malformed: str) -> None:
    def hop() -> list[tuple[str, str]]:
        begin_trace("request", {"traceparent": malformed})
        return outgoing_trace()

    assert await in_task(hop) == []


async def test_state_that_is_too_long_to_pass_on_is_left_out() -> None:
    def hop() -> list[tuple[str, str]]:
        begin_trace("request", {"traceparent": TRACEPARENT, "tracestate": f"vendor={'x' * 250},other={'x' * 250}"})
        return outgoing_trace()

    assert await in_task(hop) == [("traceparent", TRACEPARENT)]


async def test_call_without_a_trace_joins_none() -> None:
    assert await in_task(lambda: (join_trace("call", {}), outgoing_trace())[1]) == []


async def test_what_is_not_recorded_is_pointed_at_by_nothing() -> None:
    def hop() -> tuple[object, ...]:
        begin_trace("request", {"traceparent": TRACEPARENT})
        return exemplar(), current_traceparent()

    assert await in_task(hop) == (None, "")


def test_link_names_the_span() -> None:
    (link,) = link_to(TRACEPARENT)
    assert f"{link.context.trace_id:032x}" == TRACEPARENT.split("-")[1]
    assert link.context.trace_flags.sampled
    assert link_to("nonsense") == []
