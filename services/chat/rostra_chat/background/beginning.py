"""The first events of a background response, the same whoever writes them: they hold nothing but the request."""

from typing import Any

from rostra_chat.responses.events import Event, EventWriter


def queued_events(response: dict[str, Any]) -> list[Event]:
    """Return the events that tell of a response that waits for a runner."""
    writer = EventWriter()
    writer.write("response.created", response=_as(response, "queued"))
    writer.write("response.queued", response=_as(response, "queued"))
    return writer.take()


def write_in_progress(writer: EventWriter, response: dict[str, Any]) -> None:
    """Write the event that tells that a runner has begun."""
    writer.write("response.in_progress", response=_as(response, "in_progress"))


def _as(response: dict[str, Any], status: str) -> dict[str, Any]:
    """Return the object as it was at that time; with the output last, wherever it comes from."""
    fields = {name: value for name, value in response.items() if name != "output"}
    return {**fields, "status": status, "output": []}
