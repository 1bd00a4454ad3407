"""Every RPC of every service with generated messages, for somebody and for nobody: none breaks, and none hangs."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import grpc
import pytest
import pytest_asyncio
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from rostra.chat.v1 import chat_service_pb2
from rostra.common.v1.caller_pb2 import Caller, Limits, Role
from rostra.history.v1 import chat_completion_service_pb2, history_service_pb2, share_service_pb2
from rostra.user.v1 import user_service_pb2
from rostra_kit.context import CALLER_KEY
from rostra_stack.stack import Stack
from support.fuzzing import fuzz_random, fuzz_requests, resident_megabytes
from support.stack import own_stack

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(3600), pytest.mark.asyncio(loop_scope="module")]

_MOST_SECONDS = 5.0
_AT_ONCE = 8
_MOST_GROWTH_MEGABYTES = 60.0
_MOST_DEPTH = 4
_FILES = {
    "chat": (chat_service_pb2,),
    "history": (history_service_pb2, share_service_pb2, chat_completion_service_pb2),
    "user": (user_service_pb2,),
}
_NOT_DOCUMENTED = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DEADLINE_EXCEEDED}
# A wait that is asked for is no hang.
_WAITING = {"FollowResponse"}
_TEXTS = (
    *("", "a", "user_1", "conv_1", "resp_1", "msg_1", "echo", "{}", "null", "../x", "a@example.com", "\x00", "a\nb"),
    *(
        "\u2028",
        "\U0010ffff",
        "x" * 200,
        "x" * 20_000,
        "'; DROP TABLE users",
        "$where",
        "1",
        "-1",
        "Rome",
        "sk-rostra-x",
    ),
)
_BYTES = (
    *(b"", b"{}", b"[]", b"null", b"\x00\xff", b'{"a":NaN}', b"[" * 5000, b'"x"', b'{"model":"echo","input":"Hi"}'),
    *(
        b'{"type":"message","role":"user","content":"Hi"}',
        b'{"model":"echo","messages":[{"role":"user","content":"Hi"}]}',
    ),
    *(b'{"model":1}', b'{"type":"message","role":"user","content":[{"type":"input_text","text":"Rome"}]}', b"{"),
)
_NUMBERS = (0, 1, 2, 20, 100, 101, 2**31 - 1, 2**31, 2**62, 2**63 - 1)


class Method(NamedTuple):
    """An RPC of a service."""

    service: str
    descriptor: MethodDescriptor


METHODS = [
    Method(service, method)
    for service, modules in _FILES.items()
    for module in modules
    for described in module.DESCRIPTOR.services_by_name.values()
    for method in described.methods
]


class Generator:
    """Makes messages of any type, whose ids are often ones that a service has told."""

    def __init__(self) -> None:
        self.choice = fuzz_random()
        self.ids: list[str] = ["user_1"]

    def message(self, message: Message, depth: int = 0) -> Message:
        """Fill `message` with what its type allows."""
        for field in message.DESCRIPTOR.fields:
            if self.choice.random() < 0.7:
                self._fill(message, field, depth)
        return message

    def caller(self) -> bytes:
        """Return a caller; now and then one that makes no sense."""
        if self.choice.random() < 0.05:
            return self.choice.randbytes(self.choice.randint(1, 20))
        caller = Caller(user_id=f"user_{self.choice.randint(1, 3)}", role=self.choice.choice(Role.values()))
        if self.choice.random() < 0.2:
            limits = {field.name: self.choice.choice(_NUMBERS) for field in Limits.DESCRIPTOR.fields}
            caller.user_limits.CopyFrom(Limits(**limits))
        return caller.SerializeToString()

    def learn(self, message: Message) -> None:
        """Remember ids, to ask for what exists."""
        for field, value in message.ListFields():
            if field.type == FieldDescriptor.TYPE_MESSAGE and not _is_map(field):
                for each in value if field.is_repeated else (value,):
                    self.learn(each)
            elif field.type == FieldDescriptor.TYPE_STRING and field.name.endswith("id") and not field.is_repeated:
                self.ids = [*self.ids[-50:], value]

    def _fill(self, message: Message, field: FieldDescriptor, depth: int) -> None:
        if _is_map(field):
            values = getattr(message, field.name)
            if field.message_type.fields_by_name["value"].type == FieldDescriptor.TYPE_STRING:
                values[self.choice.choice(_TEXTS)] = self.choice.choice(_TEXTS)
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            if depth < _MOST_DEPTH:
                for _ in range(self.choice.randint(0, 3) if field.is_repeated else 1):
                    part = getattr(message, field.name)
                    part = part.add() if field.is_repeated else part
                    part.SetInParent()
                    self.message(part, depth + 1)
        elif field.is_repeated:
            getattr(message, field.name).extend(self._scalar(field) for _ in range(self.choice.randint(0, 3)))
        else:
            setattr(message, field.name, self._scalar(field))

    def _scalar(self, field: FieldDescriptor) -> Any:  # noqa: PLR0911 - one case for each type
        choice = self.choice
        match field.cpp_type:
            case FieldDescriptor.CPPTYPE_STRING if field.type == FieldDescriptor.TYPE_BYTES:
                return choice.choice(_BYTES)
            case FieldDescriptor.CPPTYPE_STRING:
                return choice.choice(self.ids if "id" in field.name and choice.random() < 0.7 else _TEXTS)
            case FieldDescriptor.CPPTYPE_BOOL:
                return choice.random() < 0.5
            case FieldDescriptor.CPPTYPE_ENUM:
                return choice.choice([*(value.number for value in field.enum_type.values), 99])
            case FieldDescriptor.CPPTYPE_INT32:
                return choice.choice([n for n in _NUMBERS if n < 2**31] + [-1, -(2**31)])
            case FieldDescriptor.CPPTYPE_UINT32:
                return choice.choice([n for n in _NUMBERS if n < 2**32])
            case FieldDescriptor.CPPTYPE_UINT64:
                return choice.choice([*_NUMBERS, 2**64 - 1])
            case FieldDescriptor.CPPTYPE_INT64:
                return choice.choice([*_NUMBERS, -1, -(2**63)])
            case _:
                return choice.choice((0.0, -1.0, 1e308, float("inf"), float("nan")))


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    environment = {"ROSTRA_CHAT_ECHO__WORD_DELAY_SECONDS": "0"}
    async with own_stack(tmp_path_factory.mktemp("fuzzed"), environment=environment) as stack:
        yield stack


async def call(channel: grpc.aio.Channel, method: MethodDescriptor, generator: Generator) -> grpc.StatusCode:
    """Call an RPC with a message of its own, read all that it answers, and return how it ended."""
    request = generator.message(GetMessageClass(method.input_type)())
    metadata = ((CALLER_KEY, generator.caller()),) if generator.choice.random() < 0.8 else ()
    kind = channel.unary_stream if method.server_streaming else channel.unary_unary
    made = kind(
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )
    try:
        if not method.server_streaming:
            generator.learn(await made(request, metadata=metadata, timeout=_MOST_SECONDS))
        else:
            async for message in made(request, metadata=metadata, timeout=_MOST_SECONDS):
                generator.learn(message)
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


async def test_generated_messages_break_nothing(fuzzed: Stack) -> None:
    generator = Generator()
    outcomes: dict[str, Counter[str]] = {method.descriptor.full_name: Counter() for method in METHODS}
    bad = Counter[str]()
    pids = {name: child.pid for name, child in fuzzed.children.items()}
    channels = {
        name: grpc.aio.insecure_channel(fuzzed.children[name].plan.address, [("grpc.use_local_subchannel_pool", 1)])
        for name in _FILES
    }

    async def work(count: int) -> None:
        for number in range(count):
            service, method = METHODS[number % len(METHODS)]
            code = await call(channels[service], method, generator)
            outcomes[method.full_name][code.name] += 1
            if code in _NOT_DOCUMENTED and not (method.name in _WAITING and code is grpc.StatusCode.DEADLINE_EXCEEDED):
                bad[f"{method.full_name}: {code.name}"] += 1

    sizes: list[dict[str, float]] = []
    started = time.monotonic()
    for _ in range(3):
        each = max(len(METHODS), fuzz_requests() // 3 // _AT_ONCE)
        await asyncio.gather(*(work(each) for _ in range(_AT_ONCE)))
        sizes.append({name: resident_megabytes(pid) for name, pid in pids.items()})
    for channel in channels.values():
        await channel.close()
    total = sum(counted.total() for counted in outcomes.values())
    print(f"{total} calls in {time.monotonic() - started:.0f} s; MB: {sizes}")  # noqa: T201
    assert not bad, f"{bad}\n" + "\n".join(f"{name}: {dict(counted)}" for name, counted in outcomes.items())
    assert {name: child.pid for name, child in fuzzed.children.items() if child.is_running} == pids
    for name in pids:
        assert sizes[-1][name] - sizes[0][name] < _MOST_GROWTH_MEGABYTES, sizes
