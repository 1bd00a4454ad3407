"""How the scripted provider's models behave: the one table from a model's name to its script."""

import asyncio
import re
from collections.abc import Callable

from aiohttp import web

from support.provider_call import Call, Script
from support.provider_failure import Failure, failure_for, overloaded
from support.provider_oddity import odd_pieces, with_unknown_keys
from support.provider_reply import GREETING, Reply, call_first_tool, json_object, numbered_text, spoken
from support.provider_request import ChatRequest
from support.provider_wire import DONE, Answer, encode, frame

GOOD_MODELS = ("ok", "long-500-20", "tool", "refusal", "reasoning", "length", "json")
FAULT_MODELS = (
    *("status-400", "status-401", "status-404", "status-422", "status-429", "status-500", "status-503"),
    *("not-json", "stall-first-byte", "stall-after-headers", "stall-mid-stream", "broken-chunk", "close-first-byte"),
    *("close-mid-stream", "close-mid-body", "error-mid-stream", "no-done"),
)

_HUGE_WORD_BYTES = 5_000_000
_ODD_TEXT = "Ça marche déjà à Rome, naïvement 🏛️ — voilà."
# Long enough for the reader to see two writes as two.
_WRITE_GAP_SECONDS = 0.001


def script_for(model: str) -> Script | None:
    """Return how `model` behaves, or None where no model has that name."""
    if model in _SCRIPTS:
        return _SCRIPTS[model]
    if paced := re.fullmatch(r"(?:ok|long)-(\d{1,6})-(\d{1,6})", model):
        return say(numbered_text(int(paced[1])), gap_seconds=int(paced[2]) / 1000)
    if unpaced := re.fullmatch(r"unpaced-(\d{1,6})", model):
        return say(numbered_text(int(unpaced[1])))
    failure = failure_for(model.removeprefix("status-"), model=model) if model.startswith("status-") else None
    return refuse(failure) if failure else None


def answer(reply: Callable[[ChatRequest], Reply], *, gap_seconds: float = 0.0, reports_usage: bool = True) -> Script:
    """Return the script of a model that answers well, and goes on with an answer of its own that was cut off."""

    async def play(call: Call) -> None:
        left = reply(call.request).after(call.request.broken_off)
        said = Answer(request=call.request, reply=left, reports_usage=reports_usage)
        await call.deliver(said, gap_seconds=gap_seconds)

    return play


def say(text: str, *, gap_seconds: float = 0.0, reports_usage: bool = True) -> Script:
    """Return the script of a model that always says `text`, with a pause before each word."""
    reply = Reply(content=spoken(text))
    return answer(lambda _: reply, gap_seconds=gap_seconds, reports_usage=reports_usage)


def hold(text: str, *, at: int, gate: asyncio.Event) -> Script:
    """Return the script of a model that streams `text`, and after `at` more of its words waits until `gate` is open."""

    async def play(call: Call) -> None:
        left = Reply(content=spoken(text)).after(call.request.broken_off)
        first, *pieces, last = Answer(request=call.request, reply=left).pieces()
        await call.start()
        await call.send(first)
        for number, piece in enumerate(pieces):
            if number == at:
                await gate.wait()
            await call.send(piece)
        await call.finish(last)

    return play


def refuse(failure: Failure) -> Script:
    """Return the script of a model that always fails."""
    return lambda call: call.fail(failure)


def _greeting(call: Call) -> Answer:
    return Answer(request=call.request, reply=Reply(content=spoken(GREETING)))


async def _unknown_fields(call: Call) -> None:
    said = Answer(request=call.request, reply=Reply(content=spoken(_ODD_TEXT)))
    await call.start()
    if call.request.stream:
        pieces = odd_pieces(map(with_unknown_keys, said.chunks()))
    else:
        pieces = [encode(with_unknown_keys(said.completion()))]
    for piece in pieces[:-1]:
        await call.send(piece)
        await asyncio.sleep(_WRITE_GAP_SECONDS)
    await call.finish(pieces[-1])


async def _many_fast(call: Call) -> None:
    said = Answer(request=call.request, reply=Reply(content=spoken(numbered_text(50))))
    await call.start()
    await call.send(b"".join(said.pieces()))
    await call.finish()


async def _no_done(call: Call) -> None:
    pieces = _greeting(call).pieces()
    await call.start()
    for piece in pieces if not call.request.stream else pieces[:-1]:
        await call.send(piece)
    await call.finish()


async def _not_json(call: Call) -> None:
    await call.respond(web.Response(text="<html><body>It works!</body></html>", content_type="text/html"))


async def _stall_first_byte(call: Call) -> None:
    await call.stall()


async def _stall_after_headers(call: Call) -> None:
    await call.start()
    await call.stall()


async def _stall_mid_stream(call: Call) -> None:
    await call.start()
    await call.send(_greeting(call).opening())
    await call.stall()


async def _broken_chunk(call: Call) -> None:
    await call.start()
    await call.send(_greeting(call).opening())
    # [DONE] follows, so that a reader can tell the fault by the chunk alone.
    await call.finish(b'data: {"choices":[{"del\n\n' + DONE if call.request.stream else b"")


async def _close_first_byte(call: Call) -> None:
    await call.hang_up()


async def _close_mid_stream(call: Call) -> None:
    await call.start()
    await call.send(_greeting(call).opening())
    await call.hang_up()


async def _close_mid_body(call: Call) -> None:
    said = _greeting(call)
    await call.start(content_length=sum(map(len, said.pieces())))
    await call.send(said.opening())
    await call.hang_up()


async def _error_mid_stream(call: Call) -> None:
    await call.start()
    if not call.request.stream:
        await call.finish(encode(overloaded().body()))
        return
    await call.send(_greeting(call).opening())
    await call.finish(frame(overloaded().body()))


_SCRIPTS: dict[str, Script] = {
    "ok": say(GREETING),
    "tool": answer(call_first_tool),
    "refusal": answer(lambda _: Reply(refusal=spoken("I am sorry, I cannot help with that."))),
    "reasoning": answer(lambda _: Reply(reasoning=spoken("Let me think this through."), content=spoken(GREETING))),
    "length": answer(lambda _: Reply(content=spoken(GREETING), finish_reason="length")),
    "json": answer(lambda _: json_object()),
    "no-usage": say(GREETING, reports_usage=False),
    "unknown-fields": _unknown_fields,
    "huge": say("x" * _HUGE_WORD_BYTES),
    "many-fast": _many_fast,
    "no-done": _no_done,
    "not-json": _not_json,
    "stall-first-byte": _stall_first_byte,
    "stall-after-headers": _stall_after_headers,
    "stall-mid-stream": _stall_mid_stream,
    "broken-chunk": _broken_chunk,
    "close-first-byte": _close_first_byte,
    "close-mid-stream": _close_mid_stream,
    "close-mid-body": _close_mid_body,
    "error-mid-stream": _error_mid_stream,
}
