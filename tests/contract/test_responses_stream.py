"""What `/v1/responses` streams is what OpenAI's types and the Open Responses specification describe."""

import json
from typing import Annotated, Any, get_args, get_origin

import httpx
import pytest
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from rostra_gateway.event_stream import response_error_frame
from rostra_kit.errors import UnavailableError

pytestmark = pytest.mark.e2e

Event = dict[str, Any]
Place = tuple[Any, ...]


def sdk_events() -> dict[str, TypeAdapter[Any]]:
    """Return how the SDK reads each type of event."""
    union = get_args(ResponseStreamEvent)[0] if get_origin(ResponseStreamEvent) is Annotated else ResponseStreamEvent
    return {get_args(kind.model_fields["type"].annotation)[0]: TypeAdapter(kind) for kind in get_args(union)}


SDK_EVENTS = sdk_events()
BREAKING_MODELS = ("error-mid-stream", "close-mid-stream", "broken-chunk")


async def events_of(http: httpx.AsyncClient, body: dict[str, Any]) -> list[Event]:
    answer = await http.post("/v1/responses", json={"input": "Hello, world", "stream": True, **body})
    assert answer.status_code == 200, answer.text
    return parse_frames(answer.text)


def parse_frames(text: str) -> list[Event]:
    """Return the events of a stream; each frame is `event:` and `data:`, which name the same type, and nothing else."""
    assert text.endswith("\n\n")
    events = []
    for frame in text.removesuffix("\n\n").split("\n\n"):
        name, data = frame.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        events.append(event)
    return events


async def stored(http: httpx.AsyncClient, response_id: str) -> dict[str, Any]:
    answer = await http.get(f"/v1/responses/{response_id}")
    assert answer.status_code == 200, answer.text
    response: dict[str, Any] = answer.json()
    return response


def grown_texts(events: list[Event]) -> dict[Place, str]:
    """Return what the deltas add up to, by kind and place."""
    texts: dict[Place, str] = {}
    for event in events:
        if event["type"].endswith(".delta"):
            texts[_place(event)] = texts.get(_place(event), "") + event["delta"]
    return texts


def final_texts(events: list[Event]) -> dict[Place, str]:
    """Return what the events that end a text say it is, by kind and place."""
    names = ("text", "refusal", "arguments")
    return {
        _place(event): next(event[name] for name in names if name in event)
        for event in events
        if event["type"].endswith(".done") and any(name in event for name in names)
    }


def _place(event: Event) -> Place:
    kind = event["type"].rpartition(".")[0]
    return kind, event["item_id"], event.get("content_index"), event.get("summary_index")


async def test_every_event_parses_with_the_strict_types_of_the_sdk(http: httpx.AsyncClient, body: Event) -> None:
    for event in await events_of(http, body):
        SDK_EVENTS[event["type"]].validate_python(event, strict=True)


async def test_every_event_validates_with_open_responses(
    http: httpx.AsyncClient, body: Event, open_responses: Any
) -> None:
    for event in await events_of(http, body):
        open_responses.check_event(event)


async def test_events_are_numbered_from_zero_without_a_gap(http: httpx.AsyncClient, body: Event) -> None:
    events = await events_of(http, body)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))


async def test_deltas_add_up_to_the_final_texts(http: httpx.AsyncClient, body: Event) -> None:
    events = await events_of(http, body)
    assert grown_texts(events)
    assert grown_texts(events) == final_texts(events)


async def test_items_are_added_grow_and_end_in_order(http: httpx.AsyncClient, body: Event) -> None:
    events = await events_of(http, body)
    added = [event for event in events if event["type"] == "response.output_item.added"]
    done = {event["output_index"]: event["item"] for event in events if event["type"] == "response.output_item.done"}
    assert [event["output_index"] for event in added] == list(range(len(added)))
    assert [done[event["output_index"]]["id"] for event in added] == [event["item"]["id"] for event in added]
    assert events[-1]["response"]["output"] == list(done.values())


async def test_lifecycle_events_frame_the_stream(http: httpx.AsyncClient, body: Event) -> None:
    first, second, *_, last = await events_of(http, body)
    assert (first["type"], second["type"]) == ("response.created", "response.in_progress")
    assert first["response"] == second["response"]
    assert first["response"]["status"] == "in_progress"
    assert last["type"] == f"response.{last['response']['status']}"
    assert last["type"] in ("response.completed", "response.incomplete")
    assert last["response"]["id"] == first["response"]["id"]


async def test_stored_response_equals_the_streamed_one(http: httpx.AsyncClient, body: Event) -> None:
    last = (await events_of(http, body))[-1]["response"]
    assert await stored(http, last["id"]) == last


@pytest.mark.parametrize("model", BREAKING_MODELS)
async def test_broken_stream_ends_with_a_failed_response(http: httpx.AsyncClient, model: str) -> None:
    events = await events_of(http, {"model": model})
    for event in events:
        SDK_EVENTS[event["type"]].validate_python(event, strict=True)
    last = events[-1]
    assert last["type"] == "response.failed"
    assert last["response"]["error"]["message"]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert await stored(http, last["response"]["id"]) == last["response"]


@pytest.mark.parametrize("model", BREAKING_MODELS)
async def test_broken_stream_validates_with_open_responses(
    http: httpx.AsyncClient, model: str, open_responses: Any
) -> None:
    for event in await events_of(http, {"model": model}):
        open_responses.check_event(event)


def test_error_event_of_the_gateway_parses_with_the_strict_types_of_the_sdk() -> None:
    event = gateway_error_event()
    SDK_EVENTS["error"].validate_python(event, strict=True)
    assert (event["sequence_number"], event["message"]) == (42, "The chat service is away.")


def test_error_event_of_the_gateway_validates_with_open_responses(open_responses: Any) -> None:
    open_responses.check_event(gateway_error_event())


def gateway_error_event() -> Event:
    """Return what the gateway writes when chat is away in the midst of a stream."""
    last = b'event: x\ndata: {"type":"x","sequence_number":41}\n\n'
    [event] = parse_frames(response_error_frame(UnavailableError("The chat service is away."), last).decode())
    return event
