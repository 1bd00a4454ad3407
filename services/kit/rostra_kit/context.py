"""What is known of the request under way: who asks, how long there is time, and how it is named in logs.

The gateway sets it for each HTTP request, the server interceptor for each RPC, and every outgoing call reads it.
"""

import asyncio
from contextvars import ContextVar
from functools import lru_cache
from typing import NamedTuple

from google.protobuf.message import DecodeError

from rostra.common.v1.caller_pb2 import Caller
from rostra_kit.errors import UnauthenticatedError

CALLER_KEY = "rostra-caller-bin"
REQUEST_ID_KEY = "x-request-id"
ADDRESS_KEY = "rostra-address"


class RequestContext(NamedTuple):
    """What is known of one request.

    Attributes:
        request_id: The name that clients see in `x-request-id`.
        caller: A serialized `Caller`; empty while nobody is authenticated.
        deadline: When the time is over, on the event loop's clock; `None` for never.
        address: Where the client is, as the gateway's limits count it; empty when it is not known.
    """

    request_id: str = ""
    caller: bytes = b""
    deadline: float | None = None
    address: str = ""

    def remaining_seconds(self) -> float | None:
        """Return the time left, never negative; `None` when there is no deadline."""
        if self.deadline is None:
            return None
        return max(0.0, self.deadline - asyncio.get_running_loop().time())


_NOTHING_KNOWN = RequestContext()
_current: ContextVar[RequestContext] = ContextVar("rostra_request")


def current_request() -> RequestContext:
    """Return the context of the request under way, an empty one outside of requests."""
    return _current.get(_NOTHING_KNOWN)


def set_current_request(request: RequestContext) -> None:
    """Make `request` the one under way in this task and in the tasks that it starts."""
    _current.set(request)


def current_caller() -> Caller:
    """Return who is calling.

    Raises:
        UnauthenticatedError: Nobody is known to be calling.
    """
    caller = current_request().caller
    if not caller:
        raise UnauthenticatedError("This call needs an authenticated caller.")
    return _parse_caller(caller)


@lru_cache(maxsize=4096)
def _parse_caller(serialized: bytes) -> Caller:
    try:
        return Caller.FromString(serialized)
    except DecodeError as error:
        raise UnauthenticatedError("This call's caller cannot be read.") from error
