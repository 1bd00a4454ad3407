"""One call of each kind of endpoint, by somebody who has been here for a while, and what came of it.

What a reply acknowledged is remembered, so that it can be looked for afterwards.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from uuid import uuid4

import httpx
import orjson

from support.failure_table import BROKEN, REFUSED, TIMED_OUT, WORKS, Kind
from support.failure_walk import Told, walk
from support.openai_error import refusal
from support.stack import Account, create_key, register

MODEL, HELD_MODEL = "ok", "held"
# Longer than any deadline inside: a call that takes so long hangs.
_HANG_SECONDS = 60.0
_WORD = "trireme"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a call.

    Attributes:
        kind: `WORKS`, `REFUSED`, `BROKEN`, or what else it was, in words.
        seconds: The time it took.
        told: What the client was told, for messages.
    """

    kind: str
    seconds: float
    told: str = ""


@dataclass
class Acknowledged:
    """What replies said is stored."""

    responses: set[str] = field(default_factory=set)
    background: set[str] = field(default_factory=set)
    completions: set[str] = field(default_factory=set)
    conversations: set[str] = field(default_factory=set)
    items: set[tuple[str, str]] = field(default_factory=set)
    accounts: set[tuple[str, str]] = field(default_factory=set)
    model_calls: int = 0


class FailureCalls:
    """Somebody's calls of every kind, through one gateway.

    Attributes:
        acknowledged: What was promised so far.
    """

    def __init__(self, http: httpx.AsyncClient, account: Account, administrator: Account) -> None:
        self.acknowledged = Acknowledged()
        self._http = http
        self._account = account
        self._administrator = administrator
        self._fresh_key = self._budget_key = ""
        self._conversation_id = self._response_id = self._background_id = self._share_id = ""
        self._numbers = count()
        self._calls: dict[Kind, Callable[[], Awaitable[httpx.Response]]] = {
            "sign_in": self._sign_in,
            "register": self._register,
            "new_key": self._new_key,
            "account": self._read_account,
            "models": lambda: self._get("/v1/models"),
            "completion": self._complete,
            "completion_stream": lambda: self._complete(stream=True),
            "completion_stored": lambda: self._complete(store=True),
            "completion_budget": self._complete_on_a_budget,
            "response_unstored": lambda: self._respond(store=False),
            "response_stored": self._respond,
            "response_continued": lambda: self._respond(previous_response_id=self._response_id),
            "response_stream": lambda: self._respond(stream=True),
            "background": lambda: self._respond(background=True),
            "background_stream": lambda: self._respond(background=True, stream=True),
            "follow": lambda: self._get(f"/v1/responses/{self._background_id}?stream=true"),
            "read": lambda: self._get(f"/v1/conversations/{self._conversation_id}/items"),
            "write": self._write,
            "write_keyed": self._write_keyed,
            "search": lambda: self._get(f"/v1/conversations/search?query={_WORD}"),
            "share": lambda: self._http.get(f"/share/{self._share_id}"),
            "usage": lambda: self._get("/v1/usage"),
            "admin": lambda: self._http.get("/v1/admin/users", headers=self._administrator.session),
            "health": lambda: self._http.get("/readyz"),
        }

    @classmethod
    @asynccontextmanager
    async def open(cls, base_url: str, administrator: Account) -> AsyncIterator["FailureCalls"]:
        """Register somebody whom no limit stops, and who has something of everything."""
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=base_url, timeout=_HANG_SECONDS, limits=limits) as http:
            plan = await http.put("/v1/admin/plans/default", json={"limits": {}}, headers=administrator.session)
            assert plan.status_code == 200, plan.text
            account = await asyncio.to_thread(register, base_url)
            calls = cls(http, account, administrator)
            calls._budget_key = await asyncio.to_thread(create_key, base_url, account, budget_per_month=1000.0)
            await calls.prepare()
            yield calls

    async def prepare(self) -> None:
        """Make what the calls read."""
        self._conversation_id = await self._made("/v1/conversations", {})
        item = {"type": "message", "role": "user", "content": f"The {_WORD} has three rows."}
        await self._made(f"/v1/conversations/{self._conversation_id}/items", {"items": [item]}, id_of="first_id")
        self._share_id = await self._made(f"/v1/conversations/{self._conversation_id}/shares", {})
        self._response_id = await self._made("/v1/responses", {"model": MODEL, "input": "Hi"})
        await self.refresh()

    async def refresh(self) -> None:
        """Have an API key that no gateway has seen, and a background response whose events are kept."""
        self._fresh_key = await self._made("/v1/api_keys", {"name": "fresh"}, id_of="value")
        self._background_id = await self._made("/v1/responses", {"model": MODEL, "input": "Hi", "background": True})
        await self._ended(self._background_id)

    async def call(self, kind: Kind) -> Outcome:
        """Make a call of this kind and return what came of it."""
        started = time.monotonic()
        try:
            answer = await self._calls[kind]()
        except httpx.TransportError as error:
            return Outcome(f"no answer ({type(error).__name__})", time.monotonic() - started)
        outcome = Outcome(_kind(answer), time.monotonic() - started, answer.text[-300:])
        if outcome.kind == WORKS:
            self._remember(kind, answer)
        return outcome

    async def all(self, *kinds: Kind) -> dict[Kind, Outcome]:
        """Make these calls at once, all kinds when none is named."""
        kinds = kinds or tuple(self._calls)
        return dict(zip(kinds, await asyncio.gather(*(self.call(kind) for kind in kinds)), strict=True))

    async def walk(self) -> list[Told]:
        """Call every operation of the OpenAPI document."""
        return await walk(self._http, self._administrator)

    async def hold(self, path: str) -> "asyncio.Task[Outcome]":
        """Open a stream that does not end before the held model's gate is open, and return it when it has begun."""
        begun = asyncio.Event()
        body: dict[str, Any] = {"model": HELD_MODEL, "stream": True}
        body |= {"input": "Hi"} if path == "/v1/responses" else {"messages": [{"role": "user", "content": "Hi"}]}

        async def read() -> Outcome:
            try:
                async with self._http.stream("POST", path, json=body, headers=self._account.key) as answer:
                    text, started = "", time.monotonic()
                    async for piece in answer.aiter_text():
                        text += piece
                        if "word-5" in text and not begun.is_set():
                            begun.set()
                            started = time.monotonic()
                    return Outcome(_stream_kind(text), time.monotonic() - started, text[-300:])
            except httpx.TransportError as error:
                return Outcome(f"no answer ({type(error).__name__})", 0.0)
            finally:
                begun.set()

        reading = asyncio.create_task(read())
        await begun.wait()
        return reading

    async def hold_runs(self, count: int) -> None:
        """Have so many background responses running that do not end before the held model's gate is open."""
        body = {"model": HELD_MODEL, "input": "Hi", "background": True}
        for _ in range(count):
            self.acknowledged.background.add(await self._made("/v1/responses", body))

    async def assert_kept(self) -> None:
        """Check that everything is there that a reply said is stored."""
        told = self.acknowledged
        for response in [await self._ended(each) for each in told.responses | told.background]:
            # One in the background may have met the provider's fault.
            failed = response["background"] and "provider" in (response["error"] or {}).get("message", "")
            assert failed or response["status"] == "completed", response
        paths = [f"/v1/chat/completions/{each}" for each in told.completions]
        paths += [f"/v1/conversations/{each}" for each in told.conversations]
        paths += [f"/v1/conversations/{conversation}/items/{item}" for conversation, item in told.items]
        for path in paths:
            answer = await self._get(path)
            assert answer.status_code == 200, (path, answer.text)
        for email, password in told.accounts:
            answer = await self._http.post("/v1/auth/login", json={"email": email, "password": password})
            assert answer.status_code == 200, (email, answer.text)

    async def billed_calls(self) -> int:
        """Return how many calls of models the ledger has."""
        return sum(bucket["requests"] for bucket in (await self._get("/v1/usage")).json()["data"])

    async def _get(self, path: str) -> httpx.Response:
        return await self._http.get(path, headers=self._account.key)

    async def _sign_in(self) -> httpx.Response:
        credentials = {"email": self._account.email, "password": self._account.password}
        return await self._http.post("/v1/auth/login", json=credentials)

    async def _register(self) -> httpx.Response:
        self._registering = {"email": f"{uuid4().hex}@example.com", "password": f"password-{uuid4().hex}"}
        return await self._http.post("/v1/auth/register", json=self._registering)

    async def _new_key(self) -> httpx.Response:
        return await self._http.get("/v1/models", headers={"authorization": f"Bearer {self._fresh_key}"})

    async def _read_account(self) -> httpx.Response:
        return await self._http.get("/v1/me", headers=self._account.session)

    async def _complete(self, **fields: Any) -> httpx.Response:
        return await self._http.post("/v1/chat/completions", json=_completion(**fields), headers=self._account.key)

    async def _complete_on_a_budget(self) -> httpx.Response:
        headers = {"authorization": f"Bearer {self._budget_key}"}
        return await self._http.post("/v1/chat/completions", json=_completion(), headers=headers)

    async def _respond(self, **fields: Any) -> httpx.Response:
        body = {"model": MODEL, "input": "Hi", **fields}
        return await self._http.post("/v1/responses", json=body, headers=self._account.key)

    async def _write(self) -> httpx.Response:
        item = {"type": "message", "role": "user", "content": f"Number {next(self._numbers)}"}
        path = f"/v1/conversations/{self._conversation_id}/items"
        return await self._http.post(path, json={"items": [item]}, headers=self._account.key)

    async def _write_keyed(self) -> httpx.Response:
        headers = self._account.key | {"idempotency-key": uuid4().hex}
        return await self._http.post("/v1/conversations", json={}, headers=headers)

    def _remember(self, kind: Kind, answer: httpx.Response) -> None:
        told = self.acknowledged
        told.model_calls += kind in _BILLED
        if kind in ("response_stored", "response_continued"):
            told.responses.add(answer.json()["id"])
        elif kind == "background":
            told.background.add(answer.json()["id"])
        elif kind == "write_keyed":
            told.conversations.add(answer.json()["id"])
        elif kind == "completion_stored":
            told.completions.add(answer.json()["id"])
        elif kind == "write":
            told.items.add((self._conversation_id, answer.json()["first_id"]))
        elif kind == "register":
            told.accounts.add((self._registering["email"], self._registering["password"]))

    async def _made(self, path: str, body: dict[str, Any], *, id_of: str = "id") -> str:
        headers = self._account.session if path == "/v1/api_keys" else self._account.key
        answer = await self._http.post(path, json=body, headers=headers)
        assert answer.is_success, answer.text
        return str(answer.json()[id_of])

    async def _ended(self, response_id: str) -> dict[str, Any]:
        async with asyncio.timeout(_HANG_SECONDS):
            while True:
                answer = await self._get(f"/v1/responses/{response_id}")
                assert answer.status_code == 200, answer.text
                response: dict[str, Any] = answer.json()
                if response["status"] not in ("queued", "in_progress"):
                    return response
                await asyncio.sleep(0.1)


_BILLED: tuple[Kind, ...] = (
    *("completion", "completion_stream", "completion_stored", "completion_budget"),
    *("response_unstored", "response_stored", "response_continued", "response_stream"),
)


def _completion(**fields: Any) -> dict[str, Any]:
    return {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}], **fields}


def _kind(answer: httpx.Response) -> str:
    """Return what an answer is; a 503 counts only when it says when to come back, in OpenAI's words."""
    if answer.is_success:
        return _stream_kind(answer.text) if "event-stream" in answer.headers["content-type"] else WORKS
    if answer.status_code == 503 and int(answer.headers.get("retry-after", "0")) >= 1:
        if answer.headers["content-type"].startswith("application/json"):
            refusal(answer, 503)
        return REFUSED
    if answer.status_code == 504:
        refusal(answer, 504)
        return TIMED_OUT
    return f"status {answer.status_code}"


def _stream_kind(text: str) -> str:
    """Return how a stream ended: as it should, with an error event, or just so."""
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    if not lines:
        return "an empty stream"
    if lines[-1] == "[DONE]":
        return WORKS
    last = orjson.loads(lines[-1])
    if last.get("type") == "response.completed":
        return WORKS
    return BROKEN if "error" in last or last.get("type") == "response.failed" else "a stream that just ends"
