"""Who makes a response for a waiting client holds its lease from its storing to its end."""

import asyncio

import pytest

from rostra.chat.v1.chat_service_pb2 import ResponseState
from rostra_kit.errors import UnavailableError
from services.chat.tests.responses.conftest import Bench, says

LEASE_SECONDS = 1.0
# In which the leases of what runs are renewed, several times even.
A_WHILE = LEASE_SECONDS / 2


async def renewed(bench: Bench, *, times: int) -> list[str]:
    """Wait for so many more renewals and return what the last one renewed."""
    wanted = len(bench.store.renewals) + times
    async with asyncio.timeout(20):
        while len(bench.store.renewals) < wanted:  # noqa: ASYNC110 - the store has no event
            await asyncio.sleep(0.01)
    return bench.store.renewals[-1]


@pytest.fixture
def stalled() -> Bench:
    """A bench whose model stops after a word until it is told to go on."""
    bench = Bench(lease_seconds=LEASE_SECONDS)
    bench.go_on = asyncio.Event()
    first, *rest = says("Hello ", "there")
    bench.provider.script = [first, bench.go_on, *rest]
    return bench


async def test_leases_of_all_that_run_are_renewed_in_one_call_until_they_end(stalled: Bench) -> None:
    async with stalled.engine:
        runs = [asyncio.create_task(stalled.create()) for _ in range(3)]
        async with asyncio.timeout(20):
            while len(stalled.store.leases) < 3:  # noqa: ASYNC110 - the store has no event
                await asyncio.sleep(0.01)
        assert set(stalled.store.leases.values()) == {LEASE_SECONDS}
        assert await renewed(stalled, times=2) == sorted(stalled.store.leases)
        stalled.go_on.set()
        assert {(await run)["status"] for run in runs} == {"completed"}
        await asyncio.sleep(A_WHILE)
        before = len(stalled.store.renewals)
        await asyncio.sleep(A_WHILE)
        assert len(stalled.store.renewals) == before


@pytest.mark.parametrize("error", [UnavailableError("It is away."), TimeoutError(), ValueError("Nobody expects it.")])
async def test_store_that_fails_is_asked_again(stalled: Bench, error: Exception) -> None:
    stalled.store.failures["renew"] = error
    async with stalled.engine:
        run = asyncio.create_task(stalled.create())
        await renewed(stalled, times=3)
        stalled.go_on.set()
        assert (await run)["status"] == "completed"


async def test_what_is_not_stored_has_no_lease(stalled: Bench) -> None:
    async with stalled.engine:
        run = asyncio.create_task(stalled.create(state=ResponseState(store=False), store=False))
        await stalled.provider.stalled.wait()
        await asyncio.sleep(A_WHILE)
        assert stalled.store.renewals == []
        stalled.go_on.set()
        await run
