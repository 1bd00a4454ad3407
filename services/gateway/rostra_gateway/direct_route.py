"""The routes of the hot path, found and called without FastAPI, which takes longer for both than all else here takes.

FastAPI still describes them: a direct route runs the same endpoint as one of its routes.
"""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from rostra_gateway.dependencies import authenticate, get_edge
from rostra_gateway.exchange import exchange_of
from rostra_gateway.idempotency.route import IdempotentRoute

# Takes `request, edge, exchange, caller`.
Endpoint = Callable[..., Coroutine[Any, Any, Response]]


class DirectRoute:
    """A POST of a path without parameters, whose endpoint depends on `edge`, `exchange` and `caller` alone.

    Args:
        route: The route whose endpoint it calls.

    Attributes:
        path: The path.
    """

    def __init__(self, route: IdempotentRoute) -> None:
        self.path = route.path
        self._endpoint: Endpoint = route.endpoint
        self._handler = route.heeding_keys(self._call)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        response = await self._handler(Request(scope, receive, send))
        await response(scope, receive, send)

    async def _call(self, request: Request) -> Response:
        edge, exchange = await get_edge(request), exchange_of(request.scope)
        caller = await authenticate(request, edge, exchange, None)
        return await self._endpoint(request, edge=edge, exchange=exchange, caller=caller)


class DirectRoutes:
    """Middleware that calls a request's direct route, or else what it surrounds.

    Args:
        app: What it surrounds.
        served: Endpoints, each with the router that has its route.
    """

    def __init__(self, app: ASGIApp, served: Sequence[tuple[APIRouter, Endpoint]]) -> None:
        self._app = app
        self._routes = {
            route.path: DirectRoute(route)
            for router, endpoint in served
            for route in router.routes
            if isinstance(route, IdempotentRoute) and route.endpoint is endpoint
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        route = self._routes.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if route is None:
            await self._app(scope, receive, send)
        else:
            scope["route"] = route
            await route(scope, receive, send)
