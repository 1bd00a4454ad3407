"""Background responses of a chat service whose models do what their names say."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import orjson

from rostra.chat.v1 import chat_service_pb2 as pb
from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra_kit.context import current_caller
from rostra_kit.errors import InvalidArgumentError, NotFoundError, UnavailableError
from rostra_kit.ids import new_id

EVENTS = 10


@dataclass
class BackgroundResponse:
    """A response of ten events."""

    owner: str
    model: str
    proceed: asyncio.Event
    id: str = field(default_factory=lambda: new_id("resp"))
    status: str = "queued"

    def body(self) -> bytes:
        return orjson.dumps({"object": "response", "id": self.id, "status": self.status, "model": self.model})


class FakeBackground:
    """Keeps responses in memory; what they do is as far as somebody follows them.

    Models: `pauses` waits after three events for `proceed`, `silent` before the first, `breaks` fails after four,
    `forgotten` has lost its events, `late` cannot be followed at once.

    Attributes:
        responses: All that were created, by id.
        followed: Where each follower began.
    """

    def __init__(self) -> None:
        self.responses: dict[str, BackgroundResponse] = {}
        self.followed: list[int | None] = []

    def create(self, request: pb.CreateResponseRequest, proceed: asyncio.Event) -> bytes:
        if not request.state.store:
            raise InvalidArgumentError("Must be stored.", param="store")
        response = BackgroundResponse(current_caller().user_id, request.model, proceed)
        self.add(response)
        return response.body()

    def add(self, response: BackgroundResponse) -> None:
        """Add a response, which is then followed and cancelled by its id."""
        self.responses[response.id] = response

    async def follow(self, request: pb.FollowResponseRequest) -> AsyncIterator[bytes]:
        response = self._get(request.response_id)
        start = request.starting_after if request.HasField("starting_after") else None
        self.followed.append(start)
        if response.model == "late" and len(self.followed) == 1:
            raise UnavailableError("Not yet.", retry_after_seconds=1)
        if response.model == "forgotten":
            raise NotFoundError("Gone.", reason=ErrorReason.ERROR_REASON_EVENTS_NOT_KEPT, param="stream")
        for number in range(-1 if start is None else start, EVENTS - 1):
            if (response.model, number + 1) in {("pauses", 3), ("silent", 0)}:
                await response.proceed.wait()
            if (response.model, number + 1) == ("breaks", 4):
                raise UnavailableError("Broken.", reason=ErrorReason.ERROR_REASON_STREAM_INTERRUPTED)
            yield frame(number + 1)

    def cancel(self, request: pb.CancelResponseRequest) -> bytes:
        response = self._get(request.response_id)
        response.status = "cancelled"
        return response.body()

    def _get(self, response_id: str) -> BackgroundResponse:
        response = self.responses.get(response_id)
        if response is None or response.owner != current_caller().user_id:
            raise NotFoundError("No such response.", reason=ErrorReason.ERROR_REASON_RESPONSE_NOT_FOUND)
        return response


def frame(number: int) -> bytes:
    return b'event: response.x\ndata: {"type":"response.x","sequence_number":%d}\n\n' % number
