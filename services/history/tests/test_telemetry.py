"""Commands on DocumentDB are measured and traced, without the documents."""

from pathlib import Path

import pytest

from rostra.history.v1 import history_service_pb2 as pb
from rostra.history.v1.history_service_pb2_grpc import HistoryServiceStub
from rostra_history.settings import DatabaseSettings
from rostra_kit.client import ServiceClient
from rostra_kit.settings import ServiceAddress
from rostra_kit.testing.grpc import call_as
from support.observed_stack import scrape
from support.traced_service import children_of, recorded_trace, traced_service

SERVICE = pb.DESCRIPTOR.services_by_name["HistoryService"]
CANARY = "canary-7f3a"


@pytest.mark.integration
async def test_commands_are_spans_and_connections_are_counted(
    documentdb_settings: DatabaseSettings, tmp_path: Path
) -> None:
    environment = {"ROSTRA_HISTORY_DATABASE__URL": documentdb_settings.url.get_secret_value()}
    call_as("user_of_telemetry")
    async with traced_service("history", tmp_path, environment) as (history, receiver):
        address = ServiceAddress(target=history.plan.address)
        async with ServiceClient(HistoryServiceStub, SERVICE, address) as client:
            with recorded_trace() as trace_id:
                request = pb.CreateConversationRequest(metadata={"topic": CANARY})
                await client.call(client.stub.CreateConversation, request)
        spans = await children_of(receiver, trace_id, "CreateConversation")
        families = await scrape(history)
        assert CANARY not in receiver.text()
    (insert,) = [span for span in spans if span.name == "insert conversations"]
    assert insert.attributes["db.system.name"] == "mongodb"
    assert insert.attributes["db.collection.name"] == "conversations"
    assert "insert" in {sample.labels["operation"] for sample in families["rostra_database_seconds"].samples}
    connections = {s.labels["state"]: s.value for s in families["rostra_history_database_connections"].samples}
    assert connections["busy"] == 0
    (limit,) = families["rostra_history_database_connections_limit"].samples
    assert 1 <= connections["idle"] <= limit.value
    waits = {sample.name: sample.value for sample in families["rostra_history_database_wait_seconds"].samples}
    assert waits["rostra_history_database_wait_seconds_count"] >= 1
