"""Each case of `support.failure_table`, played through: what fails, what clients see, and that all is well afterwards.

`ROSTRA_TEST_FULL=1` plays all cases, and calls every operation of the OpenAPI document beside.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from support.failure_calls import Outcome
from support.failure_levers import lever
from support.failure_stack import FailureStack
from support.failure_table import CASES, KINDS, OPEN_STREAMS, RECOVERY_SECONDS, REFUSED, WORKS, Case, Kind
from support.stack import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]

_IS_FULL = os.environ.get("ROSTRA_TEST_FULL") == "1"
_PLAYED = [case for case in CASES if case.is_brief or _IS_FULL]
_NEEDS_A_REAL_SERVER = {"MySQL": None, "DocumentDB": None, "Redis": "full"}
# What is held is that nothing hangs; a busy machine may take its time.
_SLACK = 3.0
_HELD_SECONDS = 0.5
_TRIES, _RETRY_AFTER_SECONDS = 5, 1.0
_BILLED_SECONDS = 30.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FailureStack]:
    """Yield a stack that is well; each test leaves it so."""
    async with FailureStack.open(tmp_path_factory.mktemp("failures")) as bench:
        await recovered(bench)
        yield bench


@pytest.mark.parametrize("case", _PLAYED, ids=lambda case: f"{case.dependency}-{case.fault}".replace(" ", "-"))
async def test_failure_is_told_as_documented_and_leaves_nothing_behind(bench: FailureStack, case: Case) -> None:
    skip_without_server(bench, case)
    for _ in range(_TRIES):
        bench.has_forgotten_callers()
        outcomes = await under_fault(bench, case)
        await recovered(bench)
        if case.dependency == "Redis" or not bench.has_forgotten_callers():
            break
    wrong = [f"{kind}: {each}" for kind, each in outcomes.items() if each.kind != case.outcome(kind)]
    assert not wrong, "\n".join([f"{case.dependency} {case.fault}: not as in the table", *wrong])
    late = [f"{kind}: {each}" for kind, each in outcomes.items() if each.seconds > case.within_seconds * _SLACK]
    assert not late, "\n".join(late)


async def test_everything_acknowledged_under_faults_is_there_and_billed(bench: FailureStack) -> None:
    await bench.calls.assert_kept()

    async def is_billed() -> bool:
        return await bench.calls.billed_calls() >= bench.calls.acknowledged.model_calls

    await eventually(is_billed, within_seconds=_BILLED_SECONDS)
    for name, child in bench.stack.children.items():
        assert child.is_running, name


def skip_without_server(bench: FailureStack, case: Case) -> None:
    """Skip a case that a stand-in cannot play."""
    only = _NEEDS_A_REAL_SERVER.get(case.dependency, "")
    if case.dependency not in bench.servers and only in (None, case.fault):
        pytest.skip(f"no {case.dependency} found here (run hack/install-servers)")


async def under_fault(bench: FailureStack, case: Case) -> dict[Kind, Outcome]:
    """Make a call of each kind, all at once, while the dependency fails; two streams began before."""
    bench.close_gate()
    streams = [await bench.calls.hold(path) for path in ("/v1/chat/completions", "/v1/responses")]
    async with lever(case.dependency, case.fault)(bench):
        opening = asyncio.create_task(open_later(bench.gate))
        try:
            outcomes = await bench.calls.all()
            await ask_again(bench, case, outcomes)
            outcomes |= dict(zip(OPEN_STREAMS, await asyncio.gather(*streams), strict=True))
            if _IS_FULL:
                await assert_all_operations_are_clear(bench, case)
        finally:
            await opening
    assert set(outcomes) == set(KINDS)
    return outcomes


async def ask_again(bench: FailureStack, case: Case, outcomes: dict[Kind, Outcome]) -> None:
    """Do as the 503 of a call says that should not have one: it met the moment, or a busy machine."""
    for _ in range(_TRIES):
        told = [kind for kind, each in outcomes.items() if each.kind == REFUSED and case.outcome(kind) != REFUSED]
        if not told:
            return
        await asyncio.sleep(_RETRY_AFTER_SECONDS)
        outcomes |= await bench.calls.all(*told)


async def assert_all_operations_are_clear(bench: FailureStack, case: Case) -> None:
    """Check that every operation says what to do, in time: neither a bare 500, nor a hang."""
    for told in await bench.calls.walk():
        assert told.is_clear, (case, told)
        assert told.is_export or told.seconds < case.within_seconds * _SLACK, (case, told)


async def open_later(gate: asyncio.Event) -> None:
    """End the held streams while the fault lasts."""
    await asyncio.sleep(_HELD_SECONDS)
    gate.set()


async def recovered(bench: FailureStack) -> None:
    """Wait until everything works again."""
    started = time.monotonic()
    while failing := {kind: each for kind, each in (await bench.calls.all()).items() if each.kind != WORKS}:
        assert time.monotonic() - started < RECOVERY_SECONDS * _SLACK, failing
        await asyncio.sleep(0.2)
    await bench.calls.refresh()
