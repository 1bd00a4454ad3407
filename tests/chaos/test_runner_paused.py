"""A chat that is paused past its leases wakes when another has taken its response over: it changes nothing any more."""

import asyncio
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra.history.v1 import history_service_pb2 as pb
from rostra.history.v1.history_service_pb2_grpc import HistoryServiceStub
from rostra.history.v1.response_pb2 import Lease, Response, ResponseStatus
from rostra_kit.client import ServiceClient
from rostra_kit.errors import AppError
from rostra_kit.settings import ServiceAddress
from rostra_kit.testing.grpc import call_as
from rostra_stack.stack import Stack
from support.aftermath import assert_calm_logs, redis_of, stored_outputs
from support.background import Clients
from support.follower import Follower, assert_told, text_of
from support.ledger import Ledger
from support.provider import ScriptedProvider
from support.provider_reply import numbered_text
from support.provider_script import hold, say
from support.stack import eventually, own_stack

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

_HISTORY = pb.DESCRIPTOR.services_by_name["HistoryService"]
_WORDS = 250
_TEXT = numbered_text(_WORDS)
_SAID = 40
_MODEL = "held"
_ENVIRONMENT = {
    "ROSTRA_CHAT_BACKGROUND__LEASE_SECONDS": "2",
    "ROSTRA_CHAT_BACKGROUND__RENEW_SECONDS": "0.5",
    "ROSTRA_CHAT_BACKGROUND__POLL_SECONDS": "0.2",
}
# A stream through the paused chat is given up after this silence.
_SILENCE_SECONDS = 3.0


async def test_chat_that_was_paused_past_its_lease_neither_stores_nor_publishes(tmp_path: Path) -> None:
    async with AsyncExitStack() as exits:
        provider = await exits.enter_async_context(ScriptedProvider(models=[_MODEL]))
        gate = asyncio.Event()
        provider.program(_MODEL, hold(_TEXT, at=_SAID, gate=gate), say(_TEXT))
        stack = await exits.enter_async_context(
            own_stack(tmp_path, provider=provider, environment=_ENVIRONMENT, gateways=2, chats=2)
        )
        clients = await exits.enter_async_context(Clients.open(stack, timeout_seconds=_SILENCE_SECONDS))
        paused, other = stack.children["chat-1"], stack.children["chat-2"]
        assert await other.stop(timeout_seconds=20) == 0  # so that it is known which of the two runs the response
        response_id = await clients.create(_MODEL)
        follower = Follower(response_id, next_client=clients.any)
        following = asyncio.create_task(follower.run())

        async def has_begun() -> bool:
            return follower.has_heard(f"word-{_SAID}")

        await eventually(has_begun, within_seconds=20)
        await other.start()
        await other.wait_ready(timeout_seconds=30)
        assert (await clients.get(response_id))["status"] == "in_progress"
        paused.signal(signal.SIGSTOP)
        exits.callback(paused.signal, signal.SIGCONT)
        await provider.wait_for_chats(2, timeout_seconds=20)
        response = await clients.ended(response_id)
        gate.set()
        paused.signal(signal.SIGCONT)

        async def both_are_settled() -> bool:
            return sum(Ledger(tmp_path).billed().values()) == 2

        await eventually(both_are_settled, within_seconds=20)
        await assert_store_refuses(stack, clients, response)
        # In order: whatever it still had to write is written then.
        assert await paused.stop(timeout_seconds=20) == 0
        await paused.start()
        await paused.wait_ready(timeout_seconds=30)

        assert await clients.get(response_id) == response
        assert (response["status"], text_of(response)) == ("completed", _TEXT)
        async with asyncio.timeout(20):
            await following
        assert_told(follower.frames, response)
        witness = await Follower(response_id, next_client=clients.any).run()
        assert witness.frames == follower.frames
        assert stored_outputs(tmp_path)[response_id] == 1
        assert_asked_for_all_then_for_the_rest(provider)
        async with redis_of(stack) as redis:
            assert len(await redis.keys("run:*:events")) == 1
        assert_calm_logs(stack)


async def assert_store_refuses(stack: Stack, clients: Clients, response: dict[str, Any]) -> None:
    """Check that the store itself lets the former attempt neither end the response nor keep its lease."""
    address = ServiceAddress(target=stack.children["history"].plan.address)
    lease = Lease(response_id=response["id"], attempt=1)
    call_as(clients.account.user_id)
    async with ServiceClient(HistoryServiceStub, _HISTORY, address) as history:
        renewed = await history.call(
            history.stub.RenewLeases, pb.RenewLeasesRequest(leases=[lease], lease_duration=Duration(seconds=2))
        )
        assert list(renewed.lost_response_ids) == [response["id"]]
        ended = Response(id=response["id"], status=ResponseStatus.RESPONSE_STATUS_FAILED, body=b"{}", background=True)
        with pytest.raises(AppError) as refused:
            await history.call(history.stub.FinishResponse, pb.FinishResponseRequest(response=ended, lease=lease))
        assert refused.value.reason == ErrorReason.ERROR_REASON_LEASE_LOST


def assert_asked_for_all_then_for_the_rest(provider: ScriptedProvider) -> None:
    """Check what the provider was asked: the second runner had the text that was published, and nobody asked again."""
    first, second = (chat.body["messages"] for chat in provider.chats)
    assert [message["role"] for message in first] == ["user"]
    assert [message["role"] for message in second] == ["user", "assistant", "user"]
    assert second[1]["content"] == numbered_text(_SAID) + " "
