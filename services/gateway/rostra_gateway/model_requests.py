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
    try:
        document = await read_json(request)
    except InvalidArgumentError:
        await edge.admission.admit(caller, exchange)
        raise
    slots = None
    if document.get("stream") is True:
        slots = await edge.admission.admit_stream(caller, exchange)
    else:
        await edge.admission.admit(caller, exchange)
    try:
        _check_count(document, list_field, edge.settings.request.max_messages)
        body = validate(schema, document)
    except InvalidArgumentError:
        if slots:
            await slots.release()
        raise
    exchange.model = str(document["model"])
    return ModelRequest(body, await request.body(), slots)


def _check_count(document: dict[str, Any], field: str, most: int) -> None:
    elements = document.get(field)
    if isinstance(elements, list) and len(elements) > most:
        raise InvalidArgumentError(
            f"Invalid '{field}': array too long. Expected at most {most} elements, but got {len(elements)}.",
            param=field,
        )
