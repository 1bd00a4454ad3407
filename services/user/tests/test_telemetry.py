"""Statements are measured and traced, without their values."""

from pathlib import Path

import pytest

from rostra.user.v1 import user_service_pb2 as pb
from rostra.user.v1.user_service_pb2_grpc import UserServiceStub
from rostra_kit.client import ServiceClient
from rostra_kit.settings import ServiceAddress
from rostra_kit.testing.grpc import call_as_nobody
from rostra_kit.testing.redis_server import RedisServer
from rostra_user.settings import DatabaseSettings
from support.observed_stack import scrape
from support.traced_service import children_of, recorded_trace, traced_service

SERVICE = pb.DESCRIPTOR.services_by_name["UserService"]
CANARY = "canary-7f3a"


@pytest.mark.parametrize("migrated_database", [pytest.param("mysql", marks=pytest.mark.integration)], indirect=True)
async def test_statements_are_spans(
    migrated_database: DatabaseSettings, redis_server: RedisServer, tmp_path: Path
) -> None:
    environment = {
        "ROSTRA_USER_DATABASE__URL": migrated_database.url.get_secret_value(),
        "ROSTRA_USER_SIGNING_KEYS_DIRECTORY": f"{tmp_path}/keys",
        "ROSTRA_USER_REDIS__URL": redis_server.url,
        "ROSTRA_USER_HISTORY__TARGET": "127.0.0.1:1",
        "ROSTRA_USER_REGISTRATION": "open",
    }
    call_as_nobody()
    async with traced_service("user", tmp_path, environment) as (user, receiver):
        async with ServiceClient(UserServiceStub, SERVICE, ServiceAddress(target=user.plan.address)) as client:
            with recorded_trace() as trace_id:
                request = pb.CreateUserRequest(email=f"{CANARY}@example.com", password=f"{CANARY}-password")
                await client.call(client.stub.CreateUser, request)
        spans = await children_of(receiver, trace_id, "CreateUser")
        families = await scrape(user)
        assert CANARY not in receiver.text()
    inserts = [span for span in spans if span.name == "INSERT"]
    assert {span.attributes["db.system.name"] for span in inserts} == {"mysql"}
    assert any(span.attributes["db.query.text"].startswith("INSERT INTO users") for span in inserts)
    operations = {sample.labels["operation"] for sample in families["rostra_database_seconds"].samples}
    assert {"select", "insert"} <= operations
