"""Reads the requests that run a model: counted against the limits before anything in them is looked at closely."""

from typing import Any, Generic, TypeVar

from fastapi import Request
from pydantic import BaseModel

from rostra.common.v1.caller_pb2 import Caller
from rostra_gateway.admission import StreamSlots
from rostra_gateway.body import read_json, validate
from rostra_gateway.dependencies import Edge
from rostra_gateway.exchange import Exchange
from rostra_kit.errors import InvalidArgumentError

BodyT = TypeVar("BodyT", bound=BaseModel)


class ModelRequest(Generic[BodyT]):
    """A request that runs a model.

    Attributes:
        body: What the gateway reads of the body.
        raw: The body as it is handed on, JSON.
        slots: The stream's slots when the answer is streamed, else `None`.
    """

    def __init__(self, body: BodyT, raw: bytes, slots: StreamSlots | None) -> None:
        self.body = body
        self.raw = raw
        self.slots = slots


async def read_model_request(
    request: Request, schema: type[BodyT], *, edge: Edge, exchange: Exchange, caller: Caller, list_field: str
) -> ModelRequest[BodyT]:
    """Read, count and check a request. A request that is wrong counts as well: it costs Rostra nearly as much.

    Raises:
        ResourceExhaustedError: A limit is reached.
        InvalidArgumentError: The body cannot be.
    """
    document = await _read_counting_what_is_none(request, edge=edge, exchange=exchange, caller=caller)
    slots = None
    if document.get("stream") is True:
        slots = await edge.admission.admit_stream(caller, exchange)
    else:
        await edge.admission.admit(caller, exchange)
    try:
        body = _check(document, schema, edge=edge, exchange=exchange, list_field=list_field)
    except InvalidArgumentError:
        if slots:
            await slots.release()
        raise
    return ModelRequest(body, await request.body(), slots)


async def read_whole_request(
    request: Request, schema: type[BodyT], *, edge: Edge, exchange: Exchange, caller: Caller, list_field: str = ""
) -> ModelRequest[BodyT]:
    """Read, count and check a request whose answer is never streamed, whatever it says.

    Raises:
        AppError: As `read_model_request` does.
    """
    document = await _read_counting_what_is_none(request, edge=edge, exchange=exchange, caller=caller)
    await edge.admission.admit(caller, exchange)
    body = _check(document, schema, edge=edge, exchange=exchange, list_field=list_field)
    return ModelRequest(body, await request.body() or b"{}", None)


async def _read_counting_what_is_none(
    request: Request, *, edge: Edge, exchange: Exchange, caller: Caller
) -> dict[str, Any]:
    """Return the body; one that is no JSON is counted at once, others when it is known as what."""
    try:
        return await read_json(request)
    except InvalidArgumentError:
        await edge.admission.admit(caller, exchange)
        raise


def _check(document: dict[str, Any], schema: type[BodyT], *, edge: Edge, exchange: Exchange, list_field: str) -> BodyT:
    _check_count(document, list_field, edge.settings.request.max_messages)
    body = validate(schema, document)
    exchange.model = str(document.get("model") or "")
    return body


def _check_count(document: dict[str, Any], field: str, most: int) -> None:
    elements = document.get(field)
    if isinstance(elements, list) and len(elements) > most:
        raise InvalidArgumentError(
            f"Invalid '{field}': array too long. Expected at most {most} elements, but got {len(elements)}.",
            param=field,
        )
