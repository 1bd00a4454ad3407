"""A chat service whose models do what their names say."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager

import orjson
from google.protobuf.duration_pb2 import Duration

from rostra.chat.v1 import chat_service_pb2 as pb
from rostra.chat.v1.chat_service_pb2_grpc import ChatServiceServicer
from rostra.chat.v1.model_pb2 import Model
from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra.common.v1.limit_state_pb2 import LimitState
from rostra_kit.context import current_caller
from rostra_kit.errors import AppError, InternalError, NotFoundError, ResourceExhaustedError, UnavailableError
from rostra_kit.ids import new_id
from services.gateway.tests.fake_background import FakeBackground
from services.gateway.tests.fake_user import now

TOKEN_LIMIT = LimitState(name="tokens", limit=1000, remaining=990, reset_duration=Duration(nanos=600_000_000))
ERRORS: dict[str, AppError] = {
    "unknown": NotFoundError("No such model.", reason=ErrorReason.ERROR_REASON_MODEL_NOT_FOUND, param="model"),
    "limited": ResourceExhaustedError("Slow down.", retry_after_seconds=2.5, metadata={"limit": "tokens"}),
    "broke": ResourceExhaustedError("Spent.", reason=ErrorReason.ERROR_REASON_INSUFFICIENT_QUOTA),
    "away": UnavailableError("Gone.", retry_after_seconds=1),
    "bug": InternalError("Something went wrong inside Rostra."),
}


class FakeChatService(ChatServiceServicer):
    """Answers like OpenAI.

    Models: a name of `ERRORS` fails with that error; `hangs` answers nothing, ever; `waits` and `fails later` answer,
    and fail, once `proceed` is set; `pauses` waits for it after two pieces; `breaks` fails there; `endless` writes
    until the client leaves, `large` some megabytes; all others are well.

    Attributes:
        bodies: The bodies received.
        states: What they said about state.
        stores: Whether each chat completion was to be stored.
        callers: The users on whose behalf the calls were made.
        proceed: Lets a model that waits go on.
        started: Set when a call has arrived.
        cancelled: Set when a call was cancelled.
        background: The responses that run in the background.
        titled: The conversations that were named.
    """

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.states: list[pb.ResponseState] = []
        self.stores: list[bool] = []
        self.callers: list[str] = []
        self.traces: list[str] = []
        self.proceed = asyncio.Event()
        self.started = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.background = FakeBackground()
        self.titled: list[str] = []

    async def ListModels(self, request, context):
        self.traces.append(dict(context.invocation_metadata()).get("traceparent", ""))
        return pb.ListModelsResponse(models=[Model(id="echo", create_time=now(), owned_by="rostra")])

    async def GetModel(self, request, context):
        if request.id in ERRORS:
            raise ERRORS[request.id]
        return pb.GetModelResponse(model=Model(id=request.id, create_time=now(), owned_by="rostra"))

    async def CreateChatCompletion(self, request, context):
        self.stores.append(request.store)
        with self._call(request):
            await self._wait(request.model)
        body = orjson.dumps({"object": "chat.completion", "id": new_id("chatcmpl"), "model": request.model})
        return pb.CreateChatCompletionResponse(body=body, limits=[TOKEN_LIMIT])

    async def CreateResponse(self, request, context):
        self.states.append(request.state)
        with self._call(request):
            await self._wait(request.model)
            if request.state.background:
                return pb.CreateResponseResponse(body=self.background.create(request, self.proceed))
        body = orjson.dumps({"object": "response", "id": new_id("resp"), "model": request.model})
        return pb.CreateResponseResponse(body=body, limits=[TOKEN_LIMIT])

    async def StreamChatCompletion(self, request, context):
        self.stores.append(request.store)
        with self._call(request):
            async for number in self._pieces(request.model):
                frame = b'data: {"choices":[{"index":%d}]}\n\n' % number
                if request.model == "large":
                    frame = b"data: %s\n\n" % (b"x" * 100_000)
                yield pb.StreamChatCompletionResponse(frames=frame, limits=[] if number else [TOKEN_LIMIT])
            yield pb.StreamChatCompletionResponse(frames=b"data: [DONE]\n\n")

    async def StreamResponse(self, request, context):
        self.states.append(request.state)
        with self._call(request):
            async for number in self._pieces(request.model):
                frame = b'event: response.x\ndata: {"type":"response.x","sequence_number":%d}\n\n' % number
                yield pb.StreamResponseResponse(frames=frame, limits=[] if number else [TOKEN_LIMIT])

    async def FollowResponse(self, request, context):
        with self._telling():
            async with aclosing(self.background.follow(request)) as frames:
                async for frame in frames:
                    yield pb.FollowResponseResponse(frames=frame)

    async def CancelResponse(self, request, context):
        return pb.CancelResponseResponse(body=self.background.cancel(request))

    async def CountInputTokens(self, request, context):
        self.states.append(request.state)
        self.bodies.append(request.body)
        model = orjson.loads(request.body).get("model")
        if model in ERRORS:
            raise ERRORS[model]
        return pb.CountInputTokensResponse(input_tokens=len(request.body))

    async def CompactResponse(self, request, context):
        self.states.append(request.state)
        with self._call(request):
            await self._wait(request.model)
        item = {"type": "compaction", "id": new_id("cmp"), "encrypted_content": "…"}
        body = {"object": "response.compaction", "id": new_id("resp"), "output": [item]}
        return pb.CompactResponseResponse(body=orjson.dumps(body), limits=[TOKEN_LIMIT])

    async def GenerateTitle(self, request, context):
        """Answer a title; what stores it is the test."""
        with self._telling():
            await self._wait(request.model)
        self.titled.append(request.conversation_id)
        return pb.GenerateTitleResponse(title="The Port", limits=[TOKEN_LIMIT])

    @contextmanager
    def _call(self, request) -> Iterator[None]:
        self.bodies.append(request.body)
        self.callers.append(current_caller().user_id)
        with self._telling():
            yield

    @contextmanager
    def _telling(self) -> Iterator[None]:
        self.started.set()
        try:
            yield
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled.set()
            raise

    async def _wait(self, model: str) -> None:
        if model in ERRORS:
            raise ERRORS[model]
        if model == "hangs":
            await asyncio.Event().wait()
        if model in ("waits", "fails later"):
            await self.proceed.wait()
        if model == "fails later":
            raise ERRORS["away"]

    async def _pieces(self, model: str) -> AsyncIterator[int]:
        await self._wait(model)
        yield 0
        yield 1
        if model == "breaks":
            raise UnavailableError("Broken.", reason=ErrorReason.ERROR_REASON_STREAM_INTERRUPTED)
        if model == "pauses":
            await self.proceed.wait()
        number = 2
        while model == "endless" or (model == "large" and number < 100):
            yield number
            number += 1
            await asyncio.sleep(0.005)
