"""Turns what routes raise into responses: whatever goes wrong, the body has OpenAI's shape."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match

from rostra_gateway.body import invalid_argument
from rostra_gateway.exchange import add_refused_limit, exchange_of
from rostra_gateway.problems import json_problem, problem
from rostra_kit.errors import AppError

_CODES = {404: "unknown_url", 405: "method_not_supported"}
_METHODS = ("GET", "POST", "PATCH", "PUT", "DELETE")


def install_exception_handlers(app: FastAPI) -> None:
    """Make `app` answer errors in OpenAI's shape."""

    @app.exception_handler(AppError)
    async def app_error(request: Request, error: AppError) -> Response:
        add_refused_limit(exchange_of(request.scope), error)
        return problem(error)

    @app.exception_handler(RequestValidationError)
    async def validation_error(_request: Request, error: RequestValidationError) -> Response:
        return problem(invalid_argument(error.errors()))

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
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

    @app.exception_handler(ClientDisconnect)
    async def client_left(_request: Request, _error: ClientDisconnect) -> Response:
        # Nobody reads this; the status is for the log.
        return Response(status_code=499)


def _allowed_methods(request: Request) -> list[str]:
    """Return all methods of a path; starlette names those of its first route only."""
    app: FastAPI = request.app
    return [
        method
        for method in _METHODS
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in app.routes)
    ]
