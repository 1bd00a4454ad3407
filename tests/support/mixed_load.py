"""Calls of every kind, each of a model of its own, so that the provider and the ledger tell whose a call was."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import Any, Literal, get_args

import httpx
import orjson

from support.background import Clients
from support.follower import text_of
from support.provider import ScriptedProvider
from support.provider_call import Call, Script
from support.provider_failure import overloaded
from support.provider_reply import numbered_text
from support.provider_script import refuse, say, script_for

Kind = Literal["completion", "completion_stream", "response", "response_stream", "background", "conversation"]
Behaviour = Literal["good", "refuses", "breaks"]

# A word costs a thousandth of a unit of money, asked or answered.
_CATALOGUE_ENTRY = (
    "  - {{id: {model}, provider: openai, context_window: 8192, max_output_tokens: 400, input_price: 1000,"
    " output_price: 1000, capabilities: [streaming], create_time: 2026-11-01}}\n"
)
_ANSWER_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One call: when, of which kind, and how its model behaves."""

    model: str
    kind: Kind
    behaviour: Behaviour
    words: int
    gap_seconds: float
    at_seconds: float

    @property
    def text(self) -> str:
        """Return what a model says that behaves well."""
        return numbered_text(self.words)


@dataclass(kw_only=True)
class Record:
    """What the client knows of its call.

    Attributes:
        began_at: When it was made, by the event loop's clock, and likewise `ended_at`.
        status: The status of the model's answer; 0 for none.
        text: What was answered; `None` unless the answer came to its end.
        response_id: The response, once its client was told of it.
        conversation_id: The conversation, once its client was told that it is there.
        error_code: Why it was refused.
    """

    began_at: float = 0.0
    ended_at: float = 0.0
    status: int = 0
    text: str | None = None
    response_id: str = ""
    conversation_id: str = ""
    error_code: str = ""


def plans(chance: Random, *, seconds: float, per_second: float) -> list[Plan]:
    """Return calls spread over a time."""
    return [
        Plan(
            model=f"call-{number}",
            kind=chance.choice(get_args(Kind)),
            behaviour=chance.choices(get_args(Behaviour), weights=(85, 10, 5))[0],
            words=chance.randrange(10, 80),
            gap_seconds=chance.choice((0.0, 0.01, 0.03)),
            at_seconds=chance.uniform(0, seconds),
        )
        for number in range(round(seconds * per_second))
    ]


class Overload:
    """Lets a provider refuse every call for a while.

    Attributes:
        is_on: Whether it does now.
        refused: How many calls of each model it has refused.
    """

    def __init__(self) -> None:
        self.is_on = False
        self.refused: Counter[str] = Counter()

    def before(self, script: Script) -> Script:
        """Return the script that is played but for these times."""

        async def play(call: Call) -> None:
            if self.is_on:
                self.refused[call.request.model] += 1
                await call.fail(overloaded())
            else:
                await script(call)

        return play


def program(provider: ScriptedProvider, planned: list[Plan], overload: Overload) -> str:
    """Teach the provider how the models behave, and return a catalogue that prices them."""
    provider.models = [plan.model for plan in planned]
    for plan in planned:
        script = {
            "good": say(plan.text, gap_seconds=plan.gap_seconds),
            "refuses": refuse(overloaded()),
            "breaks": script_for("close-mid-stream"),
        }[plan.behaviour]
        provider.program(plan.model, overload.before(script))
    return "models:\n" + "".join(_CATALOGUE_ENTRY.format(model=plan.model) for plan in planned)


async def call(clients: Clients, plan: Plan) -> Record:
    """Make a call once, but for its creation in the background, and return what the client knows of it."""
    loop = asyncio.get_running_loop()
    record = Record(began_at=loop.time())
    try:
        if plan.kind == "background":
            await _run_in_background(clients, plan, record)
        elif plan.kind in ("completion", "completion_stream"):
            await _complete(clients.any(), plan, record)
        else:
            await _respond(clients.any(), plan, record)
    except httpx.TransportError as error:
        record.error_code = type(error).__name__
    record.ended_at = loop.time()
    return record


async def _complete(client: httpx.AsyncClient, plan: Plan, record: Record) -> None:
    body = {"model": plan.model, "messages": [{"role": "user", "content": "Count."}]}
    if plan.kind == "completion":
        answer = await client.post("/v1/chat/completions", json=body)
        if found := _noted(record, answer):
            record.text = found["choices"][0]["message"]["content"]
        return
    async with client.stream("POST", "/v1/chat/completions", json=body | {"stream": True}) as stream:
        events = await _events(stream, record)
    if events and events[-1] == "[DONE]":
        chunks = [event for event in events if isinstance(event, dict) and event.get("choices")]
        if not any(isinstance(event, dict) and "error" in event for event in events):
            record.text = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)


async def _respond(client: httpx.AsyncClient, plan: Plan, record: Record) -> None:
    body: dict[str, Any] = {"model": plan.model, "input": "Count."}
    if plan.kind == "conversation":
        created = await client.post("/v1/conversations", json={})
        if not (conversation := _noted(record, created)):
            return
        record.status = 0
        record.conversation_id = body["conversation"] = conversation["id"]
    if plan.kind != "response_stream":
        answer = await client.post("/v1/responses", json=body)
        found = _noted(record, answer)
    else:
        async with client.stream("POST", "/v1/responses", json=body | {"stream": True}) as stream:
            events = await _events(stream, record)
        ends = [event for event in events if isinstance(event, dict) and event["type"] == "response.completed"]
        found = ends[0]["response"] if ends else None
    if found and found["status"] == "completed":
        record.response_id, record.text = found["id"], text_of(found)


async def _run_in_background(clients: Clients, plan: Plan, record: Record) -> None:
    record.response_id = await clients.create(plan.model)
    response = await clients.ended(record.response_id, within_seconds=4 * _ANSWER_SECONDS)
    record.status = 200
    if response["status"] == "completed":
        record.text = text_of(response)


def _noted(record: Record, answer: httpx.Response) -> dict[str, Any] | None:
    """Take note of an answer's status, and return its body if it is a good one."""
    record.status = answer.status_code
    if answer.is_success:
        return dict(answer.json())
    record.error_code = answer.json()["error"]["code"]
    return None


async def _events(stream: httpx.Response, record: Record) -> list[dict[str, Any] | str]:
    """Read a stream's events to its end."""
    record.status = stream.status_code
    if not stream.is_success:
        record.error_code = orjson.loads(await stream.aread())["error"]["code"]
        return []
    data = [line.removeprefix("data: ") async for line in stream.aiter_lines() if line.startswith("data: ")]
    return [each if each == "[DONE]" else orjson.loads(each) for each in data]
