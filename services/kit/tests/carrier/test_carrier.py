"""Calls that are carried behave as calls with a stream of their own do, and do not disturb each other."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from functools import partial
from types import SimpleNamespace

import grpc
import pytest
from prometheus_client import CollectorRegistry

from rostra.carrier.v1 import carrier_service_pb2 as frames_pb
from rostra.chat.v1 import chat_service_pb2 as pb
from rostra.chat.v1.chat_service_pb2_grpc import ChatServiceServicer, ChatServiceStub, add_ChatServiceServicer_to_server
from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra_kit.carrier import calls as calls_module
from rostra_kit.carrier import channel as channel_module
from rostra_kit.carrier import links as links_module
from rostra_kit.carrier import server as server_module
from rostra_kit.carrier.frames import WINDOW, packed, unpacked
from rostra_kit.carrier.server import Carrier
from rostra_kit.client import ServiceClient
from rostra_kit.context import current_caller, current_request
from rostra_kit.errors import (
    DeadlineExceededError,
    InternalError,
    InvalidArgumentError,
    NotFoundError,
    UnavailableError,
)
from rostra_kit.server import new_carrying_server, new_server
from rostra_kit.settings import ServiceAddress
from rostra_kit.telemetry.facts import collect_facts, note_facts
from rostra_kit.testing.grpc import call_as

DESCRIPTOR = pb.DESCRIPTOR.services_by_name["ChatService"]
Client = ServiceClient[ChatServiceStub]


class Servicer(ChatServiceServicer):
    """Does what the model's name says."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.asked = 0
        self.cancelled = asyncio.Event()
        self.sent = 0
        self.done = asyncio.Event()

    async def CreateChatCompletion(self, request, context):
        self.asked += 1
        match request.model:
            case "not-found":
                raise NotFoundError("No.", reason=ErrorReason.ERROR_REASON_MODEL_NOT_FOUND, param="model")
            case "bug":
                raise ZeroDivisionError("secret detail")
            case "waits":
                try:
                    await self.done.wait()
                except asyncio.CancelledError:
                    self.cancelled.set()
                    raise
            case "caller":
                note_facts(provider="told")
                remaining = current_request().remaining_seconds()
                return pb.CreateChatCompletionResponse(body=f"{current_caller().user_id} {remaining:.0f}".encode())
            case "large":
                return pb.CreateChatCompletionResponse(body=bytes(200_000))
            case "too-large":
                return pb.CreateChatCompletionResponse(body=bytes(64 * 1024 * 1024))
        return pb.CreateChatCompletionResponse(body=self.name.encode() + request.body)

    async def GetModel(self, request, context):
        self.asked += 1
        if request.id == "not-found":
            raise NotFoundError("No.")
        if request.id == "away":
            raise UnavailableError("Away.")
        if request.id == "waits":
            await self.done.wait()
        note_facts(provider=self.name)
        return pb.GetModelResponse()

    async def StreamChatCompletion(self, request, context):
        for number in range(int(request.body or b"3")):
            self.sent = number + 1
            yield pb.StreamChatCompletionResponse(frames=b"%d" % number)
        if request.model == "breaks":
            raise UnavailableError("Gone.")
        if request.model == "waits":
            try:
                await self.done.wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise


class Replica:
    """A process that serves, as far as a client can tell."""

    def __init__(self, server: grpc.aio.Server, carrier: Carrier | None, servicer: Servicer, port: int) -> None:
        self.server, self.carrier, self.servicer, self.port = server, carrier, servicer, port

    @classmethod
    async def start(cls, name: str = "", *, is_carrying: bool = True, port: int = 0) -> "Replica":
        servicer = Servicer(name)
        register, carrier = partial(add_ChatServiceServicer_to_server, servicer), None
        if is_carrying:
            server, carrier = new_carrying_server(CollectorRegistry(), register)
        else:
            server = new_server(CollectorRegistry())
            register(server)
        port = server.add_insecure_port(f"127.0.0.1:{port}")
        await server.start()
        return cls(server, carrier, servicer, port)

    @property
    def streams(self) -> int:
        """How many streams carry calls."""
        return len(self.carrier._streams)


@asynccontextmanager
async def connected(*replicas: Replica, found: int | None = None) -> AsyncIterator[Client]:
    """Yield a client that has found so many replicas, all that carry if nothing is said, and end them."""
    target = "ipv4:" + ",".join(f"127.0.0.1:{replica.port}" for replica in replicas)
    async with AsyncExitStack() as stack:
        for replica in replicas:
            stack.push_async_callback(replica.server.stop, None)
        address = ServiceAddress(target=target)
        client = await stack.enter_async_context(
            ServiceClient(ChatServiceStub, DESCRIPTOR, address, is_carried=True, also_carried=["GetModel"])
        )
        await ask(client, "hello")
        await until_found(client, len([replica for replica in replicas if replica.carrier]) if found is None else found)
        yield client


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links_module, "_LOOK_SECONDS", 0.05)
    monkeypatch.setattr(links_module, "_PAUSE_SECONDS", 0.01)


@pytest.fixture
async def replica() -> Replica:
    return await Replica.start()


@pytest.fixture
async def client(replica: Replica) -> AsyncIterator[Client]:
    async with connected(replica) as client:
        yield client


@pytest.fixture
def servicer(replica: Replica) -> Servicer:
    return replica.servicer


def links(client: Client) -> dict[str, object]:
    return {name: link for name, link in client._channel.current._links._by_replica.items() if link.is_open}


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - nobody tells of these
            await asyncio.sleep(0.01)


async def until_found(client: Client, replicas: int) -> None:
    await until(lambda: len(links(client)) == replicas)


async def ask(client: Client, model: str, body: bytes = b"", *, timeout_seconds: float | None = None) -> bytes:
    request = pb.CreateChatCompletionRequest(model=model, body=body)
    answer = await client.call(client.stub.CreateChatCompletion, request, timeout_seconds=timeout_seconds)
    return answer.body


def stream(client: Client, model: str, messages: int = 3) -> AsyncIterator[pb.StreamChatCompletionResponse]:
    request = pb.StreamChatCompletionRequest(model=model, body=b"%d" % messages)
    return client.stream(client.stub.StreamChatCompletion, request)


async def test_many_calls_at_once_are_each_answered(client: Client, replica: Replica) -> None:
    answers = await asyncio.gather(*(ask(client, "echo", b"%d" % number) for number in range(500)))
    assert answers == [b"%d" % number for number in range(500)]
    assert replica.streams in {1, 2}  # one, and while replicas are looked for another


async def test_identity_deadline_and_facts_travel(client: Client) -> None:
    call_as("user_1")
    facts = collect_facts()
    assert await ask(client, "caller", timeout_seconds=30) == b"user_1 30"
    assert facts == {"provider": "told"}


async def test_error_arrives_whole(client: Client) -> None:
    with pytest.raises(NotFoundError) as caught:
        await ask(client, "not-found")
    assert (caught.value.reason, caught.value.param) == (ErrorReason.ERROR_REASON_MODEL_NOT_FOUND, "model")
    with pytest.raises(InternalError, match="Something went wrong"):
        await ask(client, "bug")
    assert await ask(client, "echo", b"on") == b"on"


async def test_stream_yields_its_messages_in_order_and_ends(client: Client) -> None:
    messages = [message.frames async for message in stream(client, "counts", 1000)]
    assert messages == [b"%d" % number for number in range(1000)]


async def test_stream_that_breaks_raises_after_its_messages(client: Client) -> None:
    frames = []
    with pytest.raises(UnavailableError, match=r"Gone\."):
        async for message in stream(client, "breaks", 2):
            frames.append(message.frames)
    assert frames == [b"0", b"1"]


async def test_deadline_ends_a_call_here_and_there(client: Client, servicer: Servicer) -> None:
    with pytest.raises(DeadlineExceededError):
        await ask(client, "waits", timeout_seconds=0.05)
    async with asyncio.timeout(5):
        await servicer.cancelled.wait()


async def test_cancelled_call_is_cancelled_at_the_server(client: Client, servicer: Servicer) -> None:
    asking = asyncio.create_task(ask(client, "waits"))
    await until(lambda: servicer.asked == 2)
    asking.cancel()
    async with asyncio.timeout(5):
        await servicer.cancelled.wait()
    assert await ask(client, "echo", b"on") == b"on"


async def test_closed_stream_is_cancelled_at_the_server(client: Client, servicer: Servicer) -> None:
    async with aclosing(stream(client, "waits")) as messages:
        await anext(messages)
    async with asyncio.timeout(5):
        await servicer.cancelled.wait()


async def test_slow_reader_holds_up_its_own_call_only(client: Client, servicer: Servicer) -> None:
    async with aclosing(stream(client, "counts", 10 * WINDOW)) as messages:
        await anext(messages)
        await asyncio.sleep(0.1)
        assert servicer.sent == WINDOW + 1
        assert len([message async for message in stream(client, "counts", 5)]) == 5
        servicer.sent = 0
        assert len([message async for message in messages]) == 10 * WINDOW - 1


async def test_long_request_goes_by_itself(client: Client) -> None:
    body = bytes(channel_module._LONGEST_BYTES)
    carried = client._channel.current._links.pick()._last_id
    assert await ask(client, "echo", body) == body
    assert client._channel.current._links.pick()._last_id == carried


async def test_long_answers_come_and_one_that_is_too_long_fails_alone(client: Client) -> None:
    waiting = asyncio.create_task(ask(client, "waits", timeout_seconds=60))
    assert {len(body) for body in await asyncio.gather(*(ask(client, "large") for _ in range(20)))} == {200_000}
    with pytest.raises(InvalidArgumentError, match="larger"):
        await ask(client, "too-large", timeout_seconds=60)
    assert not waiting.done()
    waiting.cancel()


async def test_replicas_share_the_calls() -> None:
    replicas = [await Replica.start(name) for name in "abc"]
    async with connected(*replicas) as client:
        answers = await asyncio.gather(*(ask(client, "echo") for _ in range(300)))
    assert all(answers.count(name) >= 60 for name in (b"a", b"b", b"c"))


async def test_end_of_a_replica_ends_its_calls_and_others_take_the_next() -> None:
    replicas = [await Replica.start(name) for name in "ab"]
    async with connected(*replicas) as client:
        waiting = [asyncio.create_task(ask(client, "waits")) for _ in range(20)]
        await until(lambda: sum(replica.servicer.asked for replica in replicas) == 21)
        await replicas[0].server.stop(None)
        replicas[1].servicer.done.set()
        ended = await asyncio.gather(*waiting, return_exceptions=True)
        lost = [each for each in ended if isinstance(each, UnavailableError)]
        assert len(lost) + ended.count(b"b") == 20
        assert lost
        assert {await ask(client, "echo") for _ in range(20)} == {b"b"}


async def test_calls_go_by_themselves_while_no_replica_carries_and_are_carried_once_one_does() -> None:
    old = await Replica.start("old", is_carrying=False)
    async with connected(old) as client:
        assert await ask(client, "echo") == b"old"
        assert not links(client)
        await old.server.stop(None)
        with pytest.raises(UnavailableError):
            await ask(client, "echo")
        new = await Replica.start("new", port=old.port)
        await until(lambda: client._channel.current._links.pick() is not None)
        assert await ask(client, "echo") == b"new"
        await new.server.stop(None)


async def test_leaving_replica_has_no_new_calls_ends_its_own_and_is_not_held_back() -> None:
    replicas = [await Replica.start(name) for name in "ab"]
    leaving, staying = replicas
    async with connected(*replicas) as client:
        waiting = [asyncio.create_task(ask(client, "waits")) for _ in range(20)]
        await until(lambda: sum(replica.servicer.asked for replica in replicas) == 21)
        leaving.carrier.leave()
        stopping = asyncio.create_task(leaving.server.stop(30))
        await until_found(client, 1)
        assert {await ask(client, "echo") for _ in range(20)} == {b"b"}
        assert not stopping.done()
        leaving.servicer.done.set()
        staying.servicer.done.set()
        assert set(await asyncio.gather(*waiting)) == {b"a", b"b"}
        async with asyncio.timeout(5):
            await stopping


async def test_replica_found_when_it_is_leaving_is_not_held_back() -> None:
    replicas = [await Replica.start(name) for name in "ab"]
    leaving, staying = replicas
    leaving.carrier.leave()
    async with connected(*replicas, found=1) as client:
        await until(lambda: leaving.streams == 0)
        assert {await ask(client, "echo") for _ in range(20)} == {b"b"}
        staying.carrier.leave()
        await until(lambda: staying.streams == 0)
        assert await ask(client, "echo") in {b"a", b"b"}, "who is leaving serves those who know nobody else"


async def test_look_ends_when_all_replicas_have_had_their_turn_wherever_the_channel_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turns = iter("aabbcabca")

    async def opened(_channel: object) -> SimpleNamespace:
        return SimpleNamespace(replica_id=next(turns), is_open=True, is_due=False, retire=lambda: None)

    monkeypatch.setattr(links_module.Link, "open", opened)
    links = links_module.Links(None)
    await links._look_around()
    assert set(links._by_replica) == set("abc")
    assert list(turns) == []


async def test_stream_is_renewed_without_harm_to_its_calls(
    client: Client, servicer: Servicer, replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = asyncio.create_task(ask(client, "waits"))
    first = client._channel.current._links.pick()
    monkeypatch.setattr(links_module, "_RENEW_SECONDS", 0.0)
    await until(lambda: client._channel.current._links.pick() is not first and servicer.asked == 2)
    monkeypatch.setattr(links_module, "_RENEW_SECONDS", 60.0)
    servicer.done.set()
    assert await asking == b""
    await until(lambda: replica.streams <= 2)


async def test_call_that_may_be_repeated_goes_on_elsewhere_when_its_replica_is_gone() -> None:
    replicas = [await Replica.start(name) for name in "ab"]
    async with connected(*replicas) as client:
        facts = collect_facts()
        asked = [replica.servicer.asked for replica in replicas]
        asking = asyncio.create_task(client.call(client.stub.GetModel, pb.GetModelRequest(id="waits")))
        await until(lambda: [replica.servicer.asked for replica in replicas] != asked)
        gone, staying = sorted(replicas, key=lambda each: each.servicer.asked - asked[replicas.index(each)])[::-1]
        await gone.server.stop(None)
        staying.servicer.done.set()
        await asyncio.wait_for(asking, 5)
        assert facts == {"provider": staying.servicer.name}


async def test_call_that_may_be_repeated_is_not_when_it_was_answered(client: Client, servicer: Servicer) -> None:
    asked = servicer.asked
    with pytest.raises(NotFoundError):
        await client.call(client.stub.GetModel, pb.GetModelRequest(id="not-found"))
    assert servicer.asked == asked + 1


async def test_call_that_may_be_repeated_is_made_three_times_at_most(client: Client, servicer: Servicer) -> None:
    asked = servicer.asked
    with pytest.raises(UnavailableError, match="Away"):
        await client.call(client.stub.GetModel, pb.GetModelRequest(id="away"))
    assert servicer.asked == asked + 3


async def test_call_that_took_long_is_not_repeated(
    client: Client, servicer: Servicer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls_module, "_LAST_BEGIN_SECONDS", 0.0)
    asked = servicer.asked
    with pytest.raises(UnavailableError, match="Away"):
        await client.call(client.stub.GetModel, pb.GetModelRequest(id="away"))
    assert servicer.asked == asked + 1


async def test_call_that_may_be_repeated_ends_in_time(replica: Replica) -> None:
    async with connected(replica) as client:
        asking = client.call(client.stub.GetModel, pb.GetModelRequest(id="waits"), timeout_seconds=0.3)
        task = asyncio.create_task(asking)
        asked = replica.servicer.asked
        await until(lambda: replica.servicer.asked > asked)
        await replica.server.stop(None)
        with pytest.raises((UnavailableError, DeadlineExceededError)):
            await asyncio.wait_for(task, 2)


async def test_cancelled_call_that_may_be_repeated_is_not(client: Client, servicer: Servicer) -> None:
    asked = servicer.asked
    asking = asyncio.create_task(client.call(client.stub.GetModel, pb.GetModelRequest(id="waits")))
    await until(lambda: servicer.asked == asked + 1)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await asyncio.sleep(0.05)
    assert servicer.asked == asked + 1


async def test_closed_client_leaves_no_stream(replica: Replica) -> None:
    async with connected(replica) as client:
        await client._channel.close()
        await until(lambda: replica.streams == 0)


async def test_response_is_full_before_others_wait_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_FULL_BYTES", 10)
    stream = server_module._Stream(None, "replica")
    for number in range(1, 5):
        stream.say(frames_pb.Message(call_id=1, message=bytes(6)))
        stream.end(number, frames_pb.End(call_id=number, response=bytes(6)))
    stream._is_ended = True
    responses = [response async for response in stream.responses()]
    assert [(len(each.messages), len(each.ends)) for each in responses] == [(1, 1)] * 4


@pytest.mark.parametrize(
    ("calls", "parts", "waits"),
    [(15, 1, False), (16, 1, True), (16, 32, False)],
    ids=["few calls", "many", "much to say"],
)
async def test_message_waits_for_others_only_while_many_calls_are_under_way(
    calls: int, parts: int, waits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "_GATHER_SECONDS", 0.1)
    stream = server_module._Stream(None, "replica")
    stream._calls = dict.fromkeys(range(calls))
    responses = stream.responses()
    assert (await anext(responses)).replica_id == "replica"
    began = asyncio.get_running_loop().time()
    for _ in range(parts):
        stream.say(frames_pb.Message(call_id=1, message=b"token"), may_wait=True)
    assert len((await anext(responses)).messages) == parts
    assert (asyncio.get_running_loop().time() - began > 0.08) is waits


async def test_first_message_and_end_wait_for_nobody_and_take_along_who_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_GATHER_SECONDS", 60)
    stream = server_module._Stream(None, "replica")
    stream._calls = dict.fromkeys(range(20))
    responses = stream.responses()
    await anext(responses)
    async with asyncio.timeout(1):
        stream.say(frames_pb.Message(call_id=1, message=b"token"), may_wait=True)
        stream.say(frames_pb.Message(call_id=2, message=b"first"))
        assert len((await anext(responses)).messages) == 2
        stream.say(frames_pb.Message(call_id=1, message=b"token"), may_wait=True)
        stream.end(1, frames_pb.End(call_id=1))
        last = await anext(responses)
    assert (len(last.messages), len(last.ends)) == (1, 1)
    assert stream._gathering is None


def test_metadata_come_out_as_they_went_in() -> None:
    metadata = (("text", "é"), ("some-bin", b"\xff"))
    assert unpacked(packed(metadata)) == metadata
