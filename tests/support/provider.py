"""An OpenAI-compatible provider on 127.0.0.1 that is good, slow or broken, as the model's name says.

`provider_script` has the table of models. In a test: `async with ScriptedProvider() as provider:`; as a process of its
own, from the folder `tests`: `python -m support.provider --port 9000`.
"""

import argparse
import asyncio
import json
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from aiohttp import web

from support.provider_call import Call, Script, failure_response
from support.provider_failure import Failure, RejectedError, invalid_api_key, unknown_model
from support.provider_journal import ReceivedRequest, Tally
from support.provider_request import ChatRequest
from support.provider_script import FAULT_MODELS, GOOD_MODELS, script_for

_HOST = "127.0.0.1"
_CHAT_PATH = "/v1/chat/completions"
_MAX_BODY_BYTES = 64_000_000


class ScriptedProvider:
    """The provider: entering starts it, leaving ends every call that is still open.

    Attributes:
        models: What `GET /v1/models` lists, free to change at any time; every other model answers too.
        requests: What was received so far, oldest first.
    """

    def __init__(self, *, port: int = 0, api_key: str | None = None, models: Iterable[str] = GOOD_MODELS) -> None:
        self.models = list(models)
        self.requests: list[ReceivedRequest] = []
        self._port = port
        self._api_key = api_key
        self._programs: dict[str, list[Script]] = {}
        self._chat_tally = Tally()
        self._cancelled_tally = Tally()
        self._is_closing = False
        self._runner = web.AppRunner(
            self._application(),
            access_log=None,
            handler_cancellation=True,
            # Whoever leaves does not wait for a stall; 0 would mean to wait for ever.
            shutdown_timeout=0.05,
        )

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, _HOST, self._port).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_closing = True
        await self._runner.cleanup()

    @property
    def base_url(self) -> str:
        """Return what `OPENAI_BASE_URL` is to be set to."""
        return f"http://{_HOST}:{self._port}/v1"

    @property
    def chats(self) -> list[ReceivedRequest]:
        """Return the chat completions among the requests, oldest first."""
        return [request for request in self.requests if request.path == _CHAT_PATH]

    @property
    def cancelled(self) -> int:
        """Count the chat completions that the caller cut before they were answered."""
        return self._cancelled_tally.count

    def program(self, model: str, *scripts: Script | str) -> None:
        """Let `model` play `scripts` call after call, and the last one from then on.

        Args:
            model: The name to answer to, new or known.
            scripts: Scripts, or the names of models to behave like.
        """
        self._programs[model] = [_script_named(script) if isinstance(script, str) else script for script in scripts]

    async def wait_for_chats(self, count: int = 1, *, timeout_seconds: float = 5.0) -> None:
        """Wait until `count` chat completions were received, or raise TimeoutError."""
        await self._chat_tally.reach(count, timeout_seconds=timeout_seconds)

    async def wait_for_cancelled(self, count: int = 1, *, timeout_seconds: float = 5.0) -> None:
        """Wait until the caller cut `count` chat completions, or raise TimeoutError."""
        await self._cancelled_tally.reach(count, timeout_seconds=timeout_seconds)

    def _application(self) -> web.Application:
        application = web.Application(client_max_size=_MAX_BODY_BYTES, middlewares=[self._receive])
        application.router.add_get("/v1/models", self._list_models)
        application.router.add_get("/v1/models/{model:.+}", self._get_model)
        application.router.add_post(_CHAT_PATH, self._complete_chat)
        application.on_response_prepare.append(_stamp)
        return application

    @web.middleware
    async def _receive(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Record a request, check its key, and put every refusal into OpenAI's shape."""
        body = _parsed(await request.read())
        received = ReceivedRequest(method=request.method, path=request.path, headers=request.headers, body=body)
        self.requests.append(received)
        if request.path == _CHAT_PATH:
            self._chat_tally.add()
        if self._api_key and request.headers.get("Authorization") != f"Bearer {self._api_key}":
            return failure_response(invalid_api_key())
        try:
            return await handler(request)
        except RejectedError as error:
            return failure_response(error.failure)
        except web.HTTPException as error:
            message = f"Invalid URL ({request.method} {request.path})"
            return failure_response(Failure(status=error.status, message=message))

    async def _list_models(self, _: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [_described(model) for model in self.models]})

    async def _get_model(self, request: web.Request) -> web.Response:
        model = request.match_info["model"]
        if model not in self.models:
            raise RejectedError(unknown_model(model))
        return web.json_response(_described(model))

    async def _complete_chat(self, http_request: web.Request) -> web.StreamResponse:
        request = ChatRequest.parse(_parsed(await http_request.read()))
        call = Call(http_request, request)
        try:
            await self._script(request.model)(call)
        except (asyncio.CancelledError, ConnectionError) as error:
            if not (call.is_settled or self._is_closing):
                self._cancelled_tally.add()
            if isinstance(error, asyncio.CancelledError):
                raise
        return call.response

    def _script(self, model: str) -> Script:
        """Return what `model` does now, one step of its program further; raise `RejectedError` for an unknown one."""
        program = self._programs.get(model)
        if program:
            return program.pop(0) if len(program) > 1 else program[0]
        script = script_for(model)
        if script is None:
            raise RejectedError(unknown_model(model))
        return script


def closed_port() -> int:
    """Return a port on which nothing listens, so that a connection is refused."""
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
    return port


def _script_named(model: str) -> Script:
    script = script_for(model)
    if script is None:
        raise ValueError(f"no model is called {model!r}")
    return script


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _described(model: str) -> dict[str, Any]:
    return {"id": model, "object": "model", "created": 1_700_000_000, "owned_by": "scripted-provider"}


async def _stamp(_: web.Request, response: web.StreamResponse) -> None:
    """Give a response the headers that every one of OpenAI's has."""
    response.headers["x-request-id"] = f"req_{uuid4().hex}"
    response.headers["openai-processing-ms"] = "1"
    response.headers["openai-version"] = "2020-10-01"


async def _serve(provider: ScriptedProvider) -> None:
    """Run until the process is told to stop, and say when the provider is ready."""
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with provider:
        sys.stdout.write(f"scripted provider ready on {provider.base_url}\n")
        sys.stdout.flush()
        await stopped.wait()


def main() -> None:
    """Read the command line and run the provider."""
    parser = argparse.ArgumentParser(prog="support.provider", description="An OpenAI-compatible provider for tests.")
    parser.add_argument("--port", type=int, default=0, help="the port on 127.0.0.1; without it a free one")
    parser.add_argument("--api-key", help="the only Bearer key that is let in; without it everyone is")
    parser.add_argument("--list-faults", action="store_true", help="list the broken models among the good ones")
    parser.add_argument("--model", action="append", default=[], help="a model to list besides; may be repeated")
    arguments = parser.parse_args()
    models = (*GOOD_MODELS, *(FAULT_MODELS if arguments.list_faults else ()), *arguments.model)
    asyncio.run(_serve(ScriptedProvider(port=arguments.port, api_key=arguments.api_key, models=models)))


if __name__ == "__main__":
    main()
