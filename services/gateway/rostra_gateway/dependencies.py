"""What routes ask for: the services behind the gateway, and the caller, authenticated and within the limits.

All of it is `async`, also what awaits nothing: FastAPI would send plain functions to a thread, at ten times the cost.
"""

import asyncio
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from rostra.common.v1.caller_pb2 import Caller, Role
from rostra_gateway.admission import Admission
from rostra_gateway.authentication import Authenticator
from rostra_gateway.clients import Clients
from rostra_gateway.exchange import Exchange, exchange_of
from rostra_gateway.idempotency.store import IdempotencyStore
from rostra_gateway.metrics import GatewayMetrics
from rostra_gateway.settings import Settings
from rostra_kit.context import RequestContext, set_current_request
from rostra_kit.errors import PermissionDeniedError, UnauthenticatedError

_BEARER = HTTPBearer(auto_error=False, description="An API key, `sk-rostra-…`, or an access token.")


@dataclass(frozen=True, slots=True)
class Edge:
    """What the gateway is made of.

    Attributes:
        import_turns: Bounds the imports that are under way, each of which holds a conversation in memory.
    """

    settings: Settings
    clients: Clients
    authenticator: Authenticator
    admission: Admission
    idempotency: IdempotencyStore
    import_turns: asyncio.Semaphore
    metrics: GatewayMetrics


async def get_edge(request: Request) -> Edge:
    """Return what the gateway is made of."""
    return cast(Edge, request.app.state.edge)


CurrentEdge = Annotated[Edge, Depends(get_edge)]


async def get_clients(edge: CurrentEdge) -> Clients:
    """Return the clients of the services behind the gateway."""
    return edge.clients


CurrentClients = Annotated[Clients, Depends(get_clients)]


async def get_exchange(request: Request) -> Exchange:
    """Return what is known of the request under way."""
    return exchange_of(request.scope)


CurrentExchange = Annotated[Exchange, Depends(get_exchange)]


async def authenticate(
    request: Request, edge: CurrentEdge, exchange: CurrentExchange, _: Annotated[object, Depends(_BEARER)]
) -> Caller:
    """Return who is calling, and let every call to other services carry it."""
    try:
        cached = await edge.authenticator.authenticate(request.headers.get("authorization"))
    except UnauthenticatedError:
        # Others are counted once it is known who they are, in one go.
        await edge.admission.admit_nobody(exchange)
        raise
    act_as(cached.caller, cached.serialized, exchange)
    return cached.caller


def act_as(caller: Caller, serialized: bytes, exchange: Exchange) -> None:
    """Let every call to other services, from now on, be made on behalf of `caller`."""
    exchange.user_id, exchange.key_id = caller.user_id, caller.api_key_id
    set_current_request(RequestContext(request_id=exchange.request_id, caller=serialized, address=exchange.address))


AuthenticatedCaller = Annotated[Caller, Depends(authenticate)]


async def admit(edge: CurrentEdge, exchange: CurrentExchange, caller: AuthenticatedCaller) -> Caller:
    """Return who is calling, after taking one request from their limits."""
    await edge.admission.admit(caller, exchange)
    return caller


AdmittedCaller = Annotated[Caller, Depends(admit)]


async def admit_administrator(caller: AdmittedCaller) -> None:
    """Refuse everybody else, whatever they ask for; the user service looks again whether the caller still is one."""
    if caller.role != Role.ROLE_ADMIN:
        raise PermissionDeniedError("Only administrators may do this.")


async def admit_anybody(edge: CurrentEdge, exchange: CurrentExchange) -> None:
    """Take one request that needs no credential from its address's limit."""
    await edge.admission.admit_nobody(exchange)


async def admit_sign_in(edge: CurrentEdge, exchange: CurrentExchange) -> None:
    """Take one request that shows a password from what an address may do to become somebody."""
    await edge.admission.admit_sign_in(exchange)


async def admit_stranger(edge: CurrentEdge, exchange: CurrentExchange) -> None:
    """Take one request that shows a token from what an address may do to become somebody."""
    await edge.admission.admit_stranger(exchange)
