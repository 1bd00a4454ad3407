"""Routes that heed `Idempotency-Key`: the `route_class` of a router, for every POST of it."""

import asyncio
import hashlib
import re
import time
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar

from fastapi import Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.types import Message

from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra_gateway.dependencies import Edge, authenticate, get_edge
from rostra_gateway.event_stream import EventStream
from rostra_gateway.exchange import exchange_of
from rostra_gateway.idempotency.claim import Claim
from rostra_gateway.idempotency.recorded_stream import RecordedStream
from rostra_gateway.idempotency.store import Answer, KeyedRequest, Standing
from rostra_gateway.problems import problem
from rostra_kit.errors import AppError, ConflictError, InvalidArgumentError

Handler = Callable[[Request], Coroutine[Any, Any, Response]]

REPLAYED = "idempotent-replayed"
_HEADER = "Idempotency-Key"
_PATTERN = r"^[!-~]([ -~]{0,253}[!-~])?$"
_PARAMETER = {
    "name": _HEADER,
    "in": "header",
    "required": False,
    "description": "A name for this request: sent again with it, the request has the same answer and no other effect.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": _PATTERN},
}
_FIRST_LOOK_SECONDS = 0.02
_LONGEST_LOOK_SECONDS = 0.25
_RETRY_SECONDS = 5.0


class IdempotentRoute(APIRoute):
    """A route whose POST runs once for a key of a caller. The caller is authenticated before the key is looked at."""

    is_secret: ClassVar[bool] = False
    keeps_refusals: ClassVar[bool] = True

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        if "POST" in (options.get("methods") or ()):
            options["openapi_extra"] = {**(options.get("openapi_extra") or {}), "parameters": [_PARAMETER]}
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Handler:
        """Return what handles a request."""
        handler = super().get_route_handler()
        return self.heeding_keys(handler) if "POST" in (self.methods or ()) else handler

    def heeding_keys(self, handler: Handler) -> Handler:
        """Return what handles a request as `handler` does, but once for a key."""

        async def handle(request: Request) -> Response:
            if _HEADER not in request.headers:
                return await handler(request)
            return await self._handle_once(request, handler)

        return handle

    async def scope(self, request: Request, edge: Edge) -> str:
        """Return whose key it is."""
        return (await authenticate(request, edge, exchange_of(request.scope), None)).user_id

    async def admit_replay(self, request: Request, edge: Edge) -> None:
        """Count a request that is answered without its route, which would count it."""
        exchange = exchange_of(request.scope)
        await edge.admission.admit(await authenticate(request, edge, exchange, None), exchange)

    async def _handle_once(self, request: Request, handler: Handler) -> Response:
        key = _key(request)
        edge = await get_edge(request)
        keyed = KeyedRequest(
            record=f"idem:{{{await self.scope(request, edge)}}}:{hashlib.sha256(key.encode()).hexdigest()}",
            fingerprint=await self._fingerprint(request),
            owner=exchange_of(request.scope).request_id,
        )
        found = await self._claim(request, keyed, edge)
        edge.metrics.keyed_requests.labels(found.value if isinstance(found, Standing) else "replayed").inc()
        if found is Standing.CLAIMED:
            claim = Claim(edge.idempotency, keyed, edge.settings.idempotency, is_secret=self.is_secret)
            return await self._run(request, handler, claim)
        if isinstance(found, Standing):
            raise _refusal(found)
        if await self.digest(request) != found.digest:
            raise _refusal(Standing.REUSED)
        response = Response(found.body, found.status, dict(found.headers))
        if found.response_id:
            exchange_of(request.scope).followed_response_id = found.response_id
            response = await handler(request)
        response.headers[REPLAYED] = "true"
        return response

    async def _claim(self, request: Request, keyed: KeyedRequest, edge: Edge) -> Standing | Answer:
        """Claim the key, or wait a while for the request that has it. What the route does not count is counted here."""
        found = await edge.idempotency.claim(keyed)
        if found is Standing.CLAIMED or (isinstance(found, Answer) and found.response_id):
            return found
        await self.admit_replay(request, edge)
        ends = time.monotonic() + edge.settings.idempotency.wait_seconds
        pause = _FIRST_LOOK_SECONDS
        while found is Standing.RUNNING and time.monotonic() < ends:
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_LOOK_SECONDS)
            found = await edge.idempotency.claim(keyed)
        return found

    async def _fingerprint(self, request: Request) -> bytes:
        """Return a digest of what is asked for. Of a body with a secret in it, Redis shall not have even that."""
        digest = hashlib.sha256(f"{request.method} {request.url.path}?{request.url.query}\n".encode())
        digest.update(await self.told(request))
        return digest.digest()

    async def told(self, request: Request) -> bytes:
        """Return what the body tells about which request it is."""
        return b"" if self.is_secret else await request.body()

    async def digest(self, _request: Request) -> str:
        """Return a digest of the whole body, if `told` does not tell all of it."""
        return ""

    async def patient(self, request: Request) -> Request:
        """Return the request as one whose client never leaves: it may come back for the answer."""
        # What a stranger sends is not read before it is counted.
        return request if self.is_secret else await _patient(request)

    async def _run(self, request: Request, handler: Handler, claim: Claim) -> Response:
        exchange = exchange_of(request.scope)
        try:
            async with claim.held():
                response = await handler(await self.patient(request))
        except BaseException as error:
            if exchange.followed_response_id:
                await claim.keep(Answer(response_id=exchange.followed_response_id))
            elif isinstance(error, AppError) and self.keeps_refusals:
                await claim.settle(problem(error))
            else:
                await claim.release()
            raise
        if exchange.followed_response_id:
            await claim.keep(Answer(response_id=exchange.followed_response_id))
        elif isinstance(response, EventStream):
            return RecordedStream(response, claim)
        else:
            await claim.settle(response, digest=await self.digest(request))
        return response


class SecretRoute(IdempotentRoute):
    """A route that answers with a secret, which is kept nowhere: the same request again is refused."""

    is_secret = True


class StrangerRoute(SecretRoute):
    """A route for those who are nobody yet: keys are those of their address."""

    async def scope(self, request: Request, _edge: Edge) -> str:
        """Return the address."""
        return exchange_of(request.scope).address

    async def admit_replay(self, request: Request, edge: Edge) -> None:
        """Count it as what it is."""
        await edge.admission.admit_sign_in(exchange_of(request.scope))


async def _patient(request: Request) -> Request:
    body = await request.body()
    is_received = False

    async def receive() -> Message:
        nonlocal is_received
        if is_received:
            await asyncio.Event().wait()
        is_received = True
        return {"type": "http.request", "body": body, "more_body": False}

    return Request(request.scope, receive)


def _key(request: Request) -> str:
    keys = request.headers.getlist(_HEADER)
    if len(keys) != 1 or not re.fullmatch(_PATTERN, keys[0]):
        raise InvalidArgumentError(
            f"Invalid '{_HEADER}': expected 1 to 255 printable ASCII characters, once.", param=_HEADER
        )
    return keys[0]


def _refusal(standing: Standing) -> AppError:
    if standing is Standing.REUSED:
        return InvalidArgumentError(
            f"This '{_HEADER}' was used for another request. Use a new one for each request.",
            reason=ErrorReason.ERROR_REASON_UNPROCESSABLE,
            param=_HEADER,
            metadata={"code": "idempotency_key_reused"},
        )
    if standing is Standing.RUNNING:
        return ConflictError(
            f"The first request with this '{_HEADER}' is still running.",
            param=_HEADER,
            retry_after_seconds=_RETRY_SECONDS,
            metadata={"code": "idempotency_key_in_use"},
        )
    return ConflictError(
        f"The request with this '{_HEADER}' has succeeded before; its answer is not kept.",
        param=_HEADER,
        metadata={"code": "idempotency_answer_not_kept"},
    )
