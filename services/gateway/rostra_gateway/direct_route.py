"""The routes of the hot path, found and called without FastAPI, which takes longer for both than all else here takes.

FastAPI still describes them: `DirectRoute` stands in front of one of its routes and runs the same endpoint.
"""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from rostra_gateway.dependencies import authenticate, get_edge
from rostra_gateway.exchange import exchange_of
from rostra_gateway.idempotency.route import IdempotentRoute

# Takes `request, edge, exchange, caller`.
Endpoint = Callable[..., Coroutine[Any, Any, Response]]


class DirectRoute(BaseRoute):
    """A POST of a path without parameters, whose endpoint depends on `edge`, `exchange` and `caller` alone.

    Args:
        route: The route that it stands in front of.

    Attributes:
        path: The path, for metrics.
    """

    def __init__(self, route: IdempotentRoute) -> None:
        self.path = route.path
        self._endpoint: Endpoint = route.endpoint
        self._handler = route.heeding_keys(self._call)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Tell whether the request is this route's."""
        if scope["type"] == "http" and scope["path"] == self.path and scope["method"] == "POST":
            return Match.FULL, {"route": self}
        return Match.NONE, {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        response = await self._handler(Request(scope, receive, send))
        await response(scope, receive, send)

    async def _call(self, request: Request) -> Response:
        edge, exchange = await get_edge(request), exchange_of(request.scope)
        caller = await authenticate(request, edge, exchange, None)
        return await self._endpoint(request, edge=edge, exchange=exchange, caller=caller)


def install_direct_routes(app: FastAPI, *served: tuple[APIRouter, Endpoint]) -> None:
    """Let these endpoints of these routers be found before all other routes."""
    app.router.routes[:0] = [
        DirectRoute(route)
        for router, endpoint in served
        for route in router.routes
        if isinstance(route, IdempotentRoute) and route.endpoint is endpoint
    ]
