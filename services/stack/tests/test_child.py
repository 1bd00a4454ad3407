"""One process of the stack."""

import asyncio
import sys
from pathlib import Path

import pytest

from rostra_stack.child import Child, ChildFailed
from rostra_stack.plan import ProcessPlan


def child(tmp_path: Path, code: str) -> Child:
    return Child(ProcessPlan(name="some", command=(sys.executable, "-c", code), port=1, probe="tcp"), tmp_path)


async def test_child_that_never_ran_is_stopped_already(tmp_path: Path) -> None:
    assert await child(tmp_path, "").stop(timeout_seconds=1) == 0


async def test_child_that_ends_while_starting_is_named_with_its_log(tmp_path: Path) -> None:
    started = child(tmp_path, "print('why'); raise SystemExit(3)")
    await started.start()
    with pytest.raises(ChildFailed, match=r"some ended with exit code 3 while starting\. Its log: .*some\.log"):
        await started.wait_ready(timeout_seconds=10)
    assert started.log.read_text() == "why\n"


async def test_child_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True); time.sleep(60)"
    stubborn = child(tmp_path, code)
    await stubborn.start()
    while "on" not in stubborn.log.read_text():  # noqa: ASYNC110 - a file tells of no event
        await asyncio.sleep(0.01)
    assert await stubborn.stop(timeout_seconds=0.2) == -9
