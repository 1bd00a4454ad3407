"""Turns what is raised into responses: whatever goes wrong, the body has OpenAI's shape."""

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match
from starlette.types import Scope

from rostra_gateway.body import invalid_argument
from rostra_gateway.exchange import add_refused_limit, exchange_of
from rostra_gateway.problems import json_problem, problem
from rostra_kit.errors import AppError, InternalError

logger = logging.getLogger(__name__)

_CODES = {404: "unknown_url", 405: "method_not_supported"}
_METHODS = ("GET", "POST", "PATCH", "PUT", "DELETE")


def response_to(error: Exception, scope: Scope) -> Response:
    """Return what a client is told of `error`; what nobody foresaw is written to the log."""
    match error:
        case AppError():
            add_refused_limit(exchange_of(scope), error)
            return problem(error)
        case RequestValidationError():
            return problem(invalid_argument(error.errors()))
        case HTTPException():
            return _http_problem(error, Request(scope))
        case ClientDisconnect():
            return Response(status_code=499)  # nobody reads it; it is for the log
    logger.error("unforeseen error", exc_info=error)
    return problem(InternalError("Something went wrong inside Rostra."))


def install_exception_handlers(app: FastAPI) -> None:
    """Make `app` answer so what it would else answer in a shape of its own; all else reaches the middleware."""

    async def handle(request: Request, error: Exception) -> Response:
        return response_to(error, request.scope)

    for kind in (RequestValidationError, HTTPException):
        app.add_exception_handler(kind, handle)


def _http_problem(error: HTTPException, request: Request) -> Response:
    code = _CODES.get(error.status_code)
    message = f"Unknown request: {request.method} {request.url.path:.200}. See /docs for what there is."
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(_allowed_methods(request))
    body = {
        "message": message if code else error.detail,
        "type": "invalid_request_error",
        "param": None,
        "code": code,
    }
    return json_problem(error.status_code, body, headers)


def _allowed_methods(request: Request) -> list[str]:
    """Return all methods of a path; starlette names those of its first route only."""
    app: FastAPI = request.app
    return [
        method
        for method in _METHODS
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in app.routes)
    ]
