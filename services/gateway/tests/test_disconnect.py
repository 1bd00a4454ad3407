"""The end of work for clients that have left, whatever else ends it at the same moment."""

import asyncio
from typing import Any

import pytest
from starlette.requests import ClientDisconnect

from rostra_gateway.disconnect import Connected


class Client:
    """Says nothing until it leaves."""

    def __init__(self) -> None:
        self.left = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        await self.left.wait()
        return {"type": "http.disconnect"}


async def test_leaving_cancels_the_work_which_may_clean_up() -> None:
    client, cleaned = Client(), False
    asyncio.get_running_loop().call_soon(client.left.set)
    with pytest.raises(ClientDisconnect), Connected(client.receive):
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)
            cleaned = True
    assert cleaned
    await asyncio.sleep(0)  # is not cancelled


async def test_cancellation_from_elsewhere_stays_one() -> None:
    client = Client()

    async def work() -> None:
        with Connected(client.receive):
            await asyncio.sleep(60)

    working = asyncio.create_task(work())
    await asyncio.sleep(0.01)
    working.cancel()
    client.left.set()
    with pytest.raises(asyncio.CancelledError):
        await working


@pytest.mark.parametrize("turns", range(6))
async def test_leaving_as_the_work_ends_cancels_nothing_after_it(turns: int) -> None:
    client, task = Client(), asyncio.current_task()
    assert task is not None
    for _ in range(20):
        client.left.clear()
        with Connected(client.receive):
            await asyncio.sleep(0)
            client.left.set()
            try:
                for _ in range(turns):
                    await asyncio.sleep(0)
            except asyncio.CancelledError:
                pass
        for _ in range(5):
            await asyncio.sleep(0)
    assert task.cancelling() == 0


async def test_error_of_the_work_is_the_one_that_is_raised() -> None:
    client = Client()
    with pytest.raises(ValueError, match="no"), Connected(client.receive):
        client.left.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError as error:
            raise ValueError("no") from error
