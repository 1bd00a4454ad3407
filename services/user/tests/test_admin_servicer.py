import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis
from sqlalchemy import text

from rostra.common.v1.caller_pb2 import Limits, Role
from rostra.common.v1.page_pb2 import Order, PageRequest
from rostra.user.v1 import admin_service_pb2 as pb
from rostra.user.v1 import plan_pb2
from rostra.user.v1 import user_service_pb2 as user_pb
from rostra.user.v1.admin_service_pb2_grpc import AdminServiceStub
from rostra.user.v1.user_pb2 import LimitOverride
from rostra.user.v1.user_service_pb2_grpc import UserServiceStub
from rostra_kit.client import ServiceClient
from rostra_kit.context import RequestContext, set_current_request
from rostra_kit.errors import (
    ConflictError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from rostra_kit.testing.grpc import call_as, call_as_nobody, grpc_client
from rostra_user.app import build
from rostra_user.settings import Settings
from rostra_user.sql.database import Database
from rostra_user.testing.journey import EMAIL, PASSWORD, UserClient, create_api_key, is_live, refresh, register, sign_in
from rostra_user.testing.records import SettableClock
from services.user.tests.conftest import USER_SERVICE

ADMIN_SERVICE = pb.DESCRIPTOR.services_by_name["AdminService"]
CALLS = {
    "ListUsers": pb.ListUsersRequest(),
    "GetAnyUser": pb.GetAnyUserRequest(user_id="user_1"),
    "UpdateAnyUser": pb.UpdateAnyUserRequest(user_id="user_1", plan="none"),
    "ListPlans": pb.ListPlansRequest(),
    "PutPlan": pb.PutPlanRequest(plan=plan_pb2.Plan(name="no name")),
    "DeletePlan": pb.DeletePlanRequest(plan="none"),
    "ListAuditEvents": pb.ListAuditEventsRequest(),
    "ListAllUsage": pb.ListAllUsageRequest(),
}


@pytest.fixture
async def clients(
    settings: Settings, registry: CollectorRegistry, redis: Redis, clock: SettableClock
) -> AsyncIterator[tuple[UserClient, ServiceClient[Any]]]:
    async with (
        build(settings, registry, clock=clock) as app,
        grpc_client(UserServiceStub, USER_SERVICE, app.register) as client,
        grpc_client(AdminServiceStub, ADMIN_SERVICE, app.register) as admin,
    ):
        call_as_nobody()
        yield client, admin


@pytest.fixture
def client(clients: tuple[UserClient, ServiceClient[Any]]) -> UserClient:
    return clients[0]


@pytest.fixture
def admin(clients: tuple[UserClient, ServiceClient[Any]]) -> ServiceClient[Any]:
    return clients[1]


@pytest.fixture
async def root(client: UserClient, sqlite_database: Database) -> str:
    """Return an administrator's id, as whom the test calls."""
    user_id = (await register(client, email="root@example.com")).user.id

    async def promote(connection: Any) -> None:
        await connection.execute(text("UPDATE users SET role = 'admin' WHERE id = :id"), {"id": user_id})

    await sqlite_database.write(promote)
    return user_id


async def audit(admin: ServiceClient[Any], **which: Any) -> list[Any]:
    page = PageRequest(page_size=100, order=Order.ORDER_ASCENDING)
    answer = await admin.call(admin.stub.ListAuditEvents, pb.ListAuditEventsRequest(page=page, **which))
    return list(answer.audit_events)


async def kinds(admin: ServiceClient[Any], user_id: str) -> list[str]:
    return [event.event for event in await audit(admin, user_id=user_id) if event.event != "admin_access"]


def test_every_rpc_is_known_to_these_tests() -> None:
    assert set(CALLS) == {method.name for method in ADMIN_SERVICE.methods}


@pytest.mark.parametrize("name", CALLS)
async def test_nobody_but_an_administrator_is_let_in_whatever_the_credential_says(
    name: str, client: UserClient, admin: ServiceClient[Any], root: str
) -> None:
    alice = (await register(client)).user.id
    for user_id in (alice, "user_gone"):
        call_as(user_id, role=Role.ROLE_ADMIN)
        with pytest.raises(PermissionDeniedError) as refused:
            await admin.call(getattr(admin.stub, name), CALLS[name])
        assert refused.value.message == "Only administrators may do this."
    call_as(root)
    refusals = [event for event in await audit(admin, event="admin_access") if event.outcome == "refused"]
    assert [(event.actor_id, event.target) for event in refusals] == [(alice, name), ("user_gone", name)]


async def test_life_of_an_account_is_told_without_its_secrets(
    client: UserClient, admin: ServiceClient[Any], root: str, sqlite_database: Database
) -> None:
    call_as_nobody()
    set_current_request(RequestContext(request_id="req_a", address="192.0.2.7"))
    alice = await register(client)
    user_id = alice.user.id
    with pytest.raises(UnauthenticatedError):
        await sign_in(client, password="wrong horse")
    with pytest.raises(UnauthenticatedError):
        await sign_in(client, email="nobody@example.com")
    signed_in = await sign_in(client)
    await refresh(client, signed_in.tokens.refresh_token)
    with pytest.raises(UnauthenticatedError):
        await refresh(client, signed_in.tokens.refresh_token)
    call_as(user_id)
    key = await create_api_key(client, name="a name of mine")
    await client.call(client.stub.DeleteApiKey, user_pb.DeleteApiKeyRequest(api_key_id=key.api_key.id))
    change = user_pb.UpdateUserRequest(new_password="battery staple", current_password=PASSWORD)
    await client.call(client.stub.UpdateUser, change)
    call_as(root)
    assert await kinds(admin, user_id) == [
        *("registered", "login_failed", "logged_in", "refresh_token_reused"),
        *("api_key_created", "api_key_revoked", "password_changed"),
    ]
    failed = await audit(admin, event="login_failed")
    assert [event.user_id for event in failed] == [user_id, ""]
    assert failed[0].email_sha256 == hashlib.sha256(EMAIL.encode()).digest()
    assert {(event.address, event.request_id, event.actor_id) for event in failed} == {("192.0.2.7", "req_a", "")}
    async with sqlite_database._engine.connect() as connection:
        rows = (await connection.execute(text("SELECT * FROM audit_events"))).all()
    stored = str(rows)
    for secret in (EMAIL, PASSWORD, "wrong horse", "battery staple", key.secret, "a name of mine", "nobody@"):
        assert secret not in stored
    assert signed_in.tokens.refresh_token.rpartition("-")[2] not in stored


async def test_deleted_account_leaves_its_name_and_no_address(
    client: UserClient, admin: ServiceClient[Any], root: str
) -> None:
    set_current_request(RequestContext(request_id="req_a", address="192.0.2.7"))
    user_id = (await register(client)).user.id
    call_as(user_id)
    await client.call(client.stub.DeleteUser, user_pb.DeleteUserRequest())
    call_as(root)
    assert await kinds(admin, user_id) == ["registered", "account_deleted"]
    assert {(event.address, event.email_sha256) for event in await audit(admin, user_id=user_id)} == {("", b"")}


async def test_change_of_role_and_plan_holds_and_is_announced(
    client: UserClient, admin: ServiceClient[Any], root: str, redis: Redis
) -> None:
    user_id = (await register(client)).user.id
    call_as(root)
    plan = plan_pb2.Plan(name="team", limits=Limits(requests_per_minute=7, budget_micros_per_month=5_000_000))
    async with redis.pubsub(ignore_subscribe_messages=True) as gateway:
        await gateway.subscribe("rostra:revoked")
        await gateway.get_message(timeout=1)
        assert (await admin.call(admin.stub.PutPlan, pb.PutPlanRequest(plan=plan))).plan == plan
        request = pb.UpdateAnyUserRequest(user_id=user_id, role=Role.ROLE_ADMIN, plan="team")
        changed = (await admin.call(admin.stub.UpdateAnyUser, request)).user
        heard = [(await gateway.get_message(timeout=2))["data"] for _ in range(2)]
    assert heard == [b"plan:team", f"user:{user_id}".encode()]
    assert (changed.role, changed.plan, changed.limits) == (Role.ROLE_ADMIN, "team", plan.limits)
    told = await audit(admin, event="account_changed")
    assert [(event.user_id, event.actor_id, event.detail) for event in told] == [
        (user_id, root, "role: user -> admin, plan: default -> team")
    ]
    told = await audit(admin, event="plan_changed")
    expected = "limits: none -> {requests_per_minute=7, budget_micros_per_month=5000000}"
    assert [(event.target, event.detail) for event in told] == [("team", expected)]
    with pytest.raises(ConflictError):
        await admin.call(admin.stub.DeletePlan, pb.DeletePlanRequest(plan="team"))
    with pytest.raises(ConflictError):
        await admin.call(admin.stub.DeletePlan, pb.DeletePlanRequest(plan="default"))


async def test_disabled_account_is_closed_as_if_the_password_were_wrong(
    client: UserClient, admin: ServiceClient[Any], root: str
) -> None:
    alice = await register(client)
    call_as(root)
    await admin.call(admin.stub.UpdateAnyUser, pb.UpdateAnyUserRequest(user_id=alice.user.id, disabled=True))
    assert not await is_live(client, alice.tokens)
    with pytest.raises(UnauthenticatedError) as closed:
        await sign_in(client)
    with pytest.raises(UnauthenticatedError) as wrong:
        await sign_in(client, password="wrong horse")
    assert closed.value.message == wrong.value.message
    await admin.call(admin.stub.UpdateAnyUser, pb.UpdateAnyUserRequest(user_id=alice.user.id, disabled=False))
    await sign_in(client)


async def test_wrong_requests_name_the_field(client: UserClient, admin: ServiceClient[Any], root: str) -> None:
    alice = (await register(client)).user.id
    call_as(root)
    for call, request, param in (
        ("UpdateAnyUser", pb.UpdateAnyUserRequest(user_id=alice, plan="none"), "plan"),
        ("PutPlan", pb.PutPlanRequest(plan=plan_pb2.Plan(name="a b")), "plan"),
        (
            "PutPlan",
            pb.PutPlanRequest(plan=plan_pb2.Plan(name="a", limits=Limits(requests_per_minute=0))),
            "limits.requests_per_minute",
        ),
        ("ListAllUsage", pb.ListAllUsageRequest(), "start_time"),
    ):
        with pytest.raises(InvalidArgumentError) as refused:
            await admin.call(getattr(admin.stub, call), request)
        assert refused.value.param == param
    for call, request in (("GetAnyUser", CALLS["GetAnyUser"]), ("DeletePlan", CALLS["DeletePlan"])):
        with pytest.raises(NotFoundError):
            await admin.call(getattr(admin.stub, call), request)


async def test_administrators_do_not_demote_themselves(admin: ServiceClient[Any], root: str) -> None:
    call_as(root)
    for change in ({"role": Role.ROLE_USER}, {"disabled": True}):
        with pytest.raises(ConflictError):
            await admin.call(admin.stub.UpdateAnyUser, pb.UpdateAnyUserRequest(user_id=root, **change))


async def test_override_is_told_recorded_and_ends_by_itself(
    client: UserClient, admin: ServiceClient[Any], root: str, clock: SettableClock
) -> None:
    call_as_nobody()
    alice = (await register(client)).user
    call_as(root)
    override = LimitOverride(limits=Limits(requests_per_minute=9000))
    override.end_time.FromDatetime(clock.now + timedelta(minutes=5))
    change = pb.UpdateAnyUserRequest(user_id=alice.id, limit_override=override)
    during = (await admin.call(admin.stub.UpdateAnyUser, change)).user
    assert (during.limits.requests_per_minute, during.limit_override) == (9000, override)
    assert during.limits.tokens_per_minute == alice.limits.tokens_per_minute
    (event,) = [each for each in await audit(admin, user_id=alice.id) if each.event == "account_changed"]
    until = override.end_time.ToDatetime(UTC).isoformat()
    assert (event.actor_id, event.detail) == (
        root,
        f"limit_override: none -> {{requests_per_minute=9000}} until {until}",
    )
    call_as(alice.id)
    get = user_pb.GetUserRequest()
    assert (await client.call(client.stub.GetUser, get)).user.limits.requests_per_minute == 9000
    clock.advance(minutes=5)
    after = (await client.call(client.stub.GetUser, get)).user
    assert (after.limits, after.HasField("limit_override")) == (alice.limits, False)


@pytest.mark.parametrize(
    ("limits", "seconds", "param"),
    [
        (Limits(), 5, "limit_override.limits"),
        (Limits(requests_per_minute=0), 5, "limit_override.limits.requests_per_minute"),
        (Limits(requests_per_minute=5), 0, "limit_override.ends_at"),
        (Limits(requests_per_minute=5), 2**60, "limit_override.ends_at"),
        (Limits(requests_per_minute=5), None, "limit_override.ends_at"),
    ],
)
async def test_impossible_override_is_refused(
    client: UserClient,
    admin: ServiceClient[Any],
    root: str,
    clock: SettableClock,
    limits: Limits,
    seconds: int | None,
    param: str,
) -> None:
    alice = (await register(client)).user
    call_as(root)
    override = LimitOverride(limits=limits)
    if seconds is not None:
        override.end_time.seconds = int(clock.now.timestamp()) + seconds
    change = pb.UpdateAnyUserRequest(user_id=alice.id, limit_override=override)
    with pytest.raises(InvalidArgumentError) as refused:
        await admin.call(admin.stub.UpdateAnyUser, change)
    assert refused.value.param == param
