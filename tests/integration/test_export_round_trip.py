"""What is exported and imported again is the same, whatever tree it is, on every store."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from rostra.history.v1 import history_service_pb2 as pb
from rostra.history.v1.history_service_pb2_grpc import HistoryServiceStub
from rostra_gateway.clients import Clients
from rostra_gateway.settings import ImportSettings
from rostra_gateway.transfer.export_json import export_json
from rostra_gateway.transfer.importer import Importer
from rostra_history.app import build
from rostra_history.settings import DatabaseSettings, Settings
from rostra_kit.ids import new_id
from rostra_kit.testing.grpc import call_as, grpc_client
from support.servers import fresh_database, mongodb_url

__all__ = ["mongodb_url"]

pytestmark = pytest.mark.timeout(240)

SERVICE = pb.DESCRIPTOR.services_by_name["HistoryService"]
# As far as a float tells microseconds apart, which is until the year 2255.
times = st.integers(0, 2**53 - 1).map(lambda time_us: time_us / 1_000_000)
texts = st.text(st.characters(codec="utf-8"), max_size=20)
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
feedback = st.none() | st.fixed_dictionaries(
    {
        "rating": st.sampled_from(["positive", "negative"]),
        "comment": st.none() | texts.filter(bool),
        "updated_at": times,
    }
)
bodies = st.fixed_dictionaries(
    {"type": st.just("message"), "role": st.sampled_from(["user", "assistant", "system"]), "content": texts},
    optional={"x": st.lists(numbers | texts | st.none() | st.booleans(), max_size=3), "": texts},
) | st.fixed_dictionaries({"type": st.just("function_call_output"), "call_id": texts, "output": texts})


@st.composite
def exports(draw: st.DrawFn) -> str:
    """Return the JSON of a conversation whose items form any tree."""
    count = draw(st.integers(0, 12))
    items = []
    for number in range(count):
        parent = draw(st.integers(-1, number - 1))
        item = {
            "id": str(number),
            "parent_id": None if parent < 0 else str(parent),
            "created_at": draw(times),
            "item": draw(bodies),
        }
        if opinion := draw(feedback):
            item["feedback"] = opinion
        items.append(item)
    conversation = {
        "title": draw(st.none() | texts.filter(bool)),
        "created_at": draw(times),
        "updated_at": draw(times),
        "metadata": draw(st.dictionaries(texts.filter(lambda text: "\x00" not in text), texts, max_size=3)),
        "archived": draw(st.booleans()),
        "active_item_id": draw(st.sampled_from([None, *(item["id"] for item in items)])),
    }
    return json.dumps({"object": "conversation.export", "version": 1, "conversation": conversation, "items": items})


@pytest.fixture(params=["sqlite", pytest.param("documentdb", marks=pytest.mark.integration)])
async def clients(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Clients]:
    if request.param == "sqlite":
        async with serving(f"sqlite:///{tmp_path}/history.db") as clients:
            yield clients
        return
    with fresh_database(request.getfixturevalue("mongodb_url")) as url:
        async with serving(url) as clients:
            yield clients


@asynccontextmanager
async def serving(url: str) -> AsyncIterator[Clients]:
    """Serve a real history on this database."""
    async with (
        build(Settings(database=DatabaseSettings(url=url)), CollectorRegistry()) as app,
        grpc_client(HistoryServiceStub, SERVICE, app.register) as history,
    ):
        for check in app.readiness:
            await check()
        others = dict.fromkeys(field.name for field in fields(Clients) if field.name != "history")
        yield Clients(history=history, **others)  # type: ignore[arg-type]


async def import_text(clients: Clients, text: str) -> str:
    async def pieces() -> AsyncIterator[bytes]:
        body = text.encode()
        for start in range(0, len(body), 100):
            yield body[start : start + 100]

    outcome = await Importer(clients, ImportSettings()).run(pieces())
    assert outcome.not_imported == []
    return outcome.imported[0].id


async def export_text(clients: Clients, conversation_id: str) -> str:
    history = clients.history
    answer = await history.call(
        history.stub.GetConversation, pb.GetConversationRequest(conversation_id=conversation_id)
    )
    return b"".join([piece async for piece in export_json(clients, answer.conversation)]).decode()


def anonymous(text: str) -> dict[str, Any]:
    """Return an export with its ids numbered, and without its time."""
    document = json.loads(text)
    document.pop("exported_at", None)
    numbers: dict[str | None, str | None] = {item["id"]: str(n) for n, item in enumerate(document["items"])}
    numbers[None] = None
    conversation = document["conversation"]
    conversation.pop("id", None)
    conversation["active_item_id"] = numbers[conversation["active_item_id"]]
    for item in document["items"]:
        item["id"], item["parent_id"] = numbers[item["id"]], numbers[item["parent_id"]]
        item["item"].pop("id", None)
    return document


def without_bodies(document: dict[str, Any]) -> dict[str, Any]:
    """Return an export without what a normal form adds to items."""
    return document | {"items": [item | {"item": None} for item in document["items"]]}


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(given_text=exports())
async def test_export_imported_and_exported_again_is_the_same(clients: Clients, given_text: str) -> None:
    call_as(new_id("user"))
    first = await export_text(clients, await import_text(clients, given_text))
    assert without_bodies(anonymous(first)) == without_bodies(anonymous(given_text))
    second = await export_text(clients, await import_text(clients, first))
    assert anonymous(second) == anonymous(first)
