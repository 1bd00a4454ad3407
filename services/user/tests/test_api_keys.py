import hashlib
from datetime import timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from redis.asyncio import Redis

from rostra.common.v1.caller_pb2 import Limits, Role
from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra.common.v1.page_pb2 import Order, PageRequest
from rostra.user.v1 import user_service_pb2 as pb
from rostra_kit.errors import ConflictError, InvalidArgumentError, NotFoundError, UnauthenticatedError
from rostra_kit.testing.grpc import call_as, call_as_nobody
from rostra_user.testing.journey import UserClient, create_api_key, register
from rostra_user.testing.records import NOW, SettableClock
from rostra_user.times import to_timestamp


@pytest.fixture
async def alice(client: UserClient) -> pb.CreateUserResponse:
    """Register Alice and call as her."""
    created = await register(client)
    call_as(created.user.id)
    return created


async def caller_of(client: UserClient, secret: str) -> pb.GetApiKeyCallerResponse:
    digest = hashlib.sha256(secret.encode()).digest()
    return await client.call(client.stub.GetApiKeyCaller, pb.GetApiKeyCallerRequest(secret_sha256=digest))


async def list_ids(client: UserClient, **page) -> tuple[list[str], bool]:
    answer = await client.call(client.stub.ListApiKeys, pb.ListApiKeysRequest(page=PageRequest(**page)))
    return [api_key.id for api_key in answer.api_keys], answer.has_more


async def revoke(client: UserClient, api_key_id: str) -> None:
    await client.call(client.stub.DeleteApiKey, pb.DeleteApiKeyRequest(api_key_id=api_key_id))


async def test_key_stands_for_its_owner_with_the_limits_of_plan_and_key(
    client: UserClient, alice: pb.CreateUserResponse
) -> None:
    limits = Limits(requests_per_minute=5, budget_micros_per_month=1)
    created = await create_api_key(client, name="laptop", limits=limits)
    call_as_nobody()
    caller = (await caller_of(client, created.secret)).caller
    assert (caller.user_id, caller.api_key_id, caller.session_id) == (alice.user.id, created.api_key.id, "")
    assert (caller.role, caller.user_limits, caller.key_limits) == (Role.ROLE_USER, alice.user.limits, limits)


async def test_secret_is_shown_once_and_then_redacted(client: UserClient, alice: pb.CreateUserResponse) -> None:
    created = await create_api_key(client, name="laptop")
    secret, redacted = created.secret, created.api_key.redacted_secret
    assert redacted == f"{secret[:13]}\u2026{secret[-4:]}"
    listed = await client.call(client.stub.ListApiKeys, pb.ListApiKeysRequest())
    assert list(listed.api_keys) == [created.api_key]
    assert secret.encode() not in listed.SerializeToString()


async def test_key_ends_at_its_time(client: UserClient, alice: pb.CreateUserResponse, clock: SettableClock) -> None:
    expire_time = to_timestamp(NOW + timedelta(minutes=1))
    created = await create_api_key(client, name="short", expire_time=expire_time)
    assert created.api_key.expire_time == expire_time
    assert (await caller_of(client, created.secret)).expire_time == expire_time
    clock.advance(minutes=1)
    with pytest.raises(UnauthenticatedError) as refused:
        await caller_of(client, created.secret)
    assert refused.value.reason == ErrorReason.ERROR_REASON_INVALID_API_KEY


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"name": "x" * 201}, "name"),
        ({"name": "a\0"}, "name"),
        ({"expire_time": to_timestamp(NOW)}, "expire_time"),
        ({"expire_time": Timestamp(seconds=2**60)}, "expire_time"),
        ({"limits": Limits(requests_per_minute=0)}, "limits.requests_per_minute"),
        ({"limits": Limits(budget_micros_per_month=-1)}, "limits.budget_micros_per_month"),
    ],
)
async def test_impossible_key_names_the_field(
    client: UserClient, alice: pb.CreateUserResponse, fields: dict, param: str
) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        await create_api_key(client, **fields)
    assert refused.value.param == param


async def test_more_keys_than_allowed_are_refused(client: UserClient, alice: pb.CreateUserResponse) -> None:
    keys = [await create_api_key(client) for _ in range(3)]
    with pytest.raises(ConflictError):
        await create_api_key(client)
    await revoke(client, keys[0].api_key.id)
    await create_api_key(client)


async def test_keys_are_listed_newest_first_page_by_page(client: UserClient, alice: pb.CreateUserResponse) -> None:
    ids = sorted([(await create_api_key(client)).api_key.id for _ in range(3)], reverse=True)
    assert await list_ids(client) == (ids, False)
    assert await list_ids(client, page_size=2) == (ids[:2], True)
    assert await list_ids(client, page_size=2, after_id=ids[1]) == (ids[2:], False)
    assert await list_ids(client, order=Order.ORDER_ASCENDING, page_size=1) == (ids[2:], True)
    assert await list_ids(client, page_size=10**6) == (ids, False)


@pytest.mark.parametrize(("page", "param"), [({"after_id": "key_none"}, "after"), ({"page_size": -1}, "limit")])
async def test_impossible_page_names_the_field(
    client: UserClient, alice: pb.CreateUserResponse, page: dict, param: str
) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        await list_ids(client, **page)
    assert refused.value.param == param


async def test_revoked_key_ends_at_once_and_is_announced(
    client: UserClient, alice: pb.CreateUserResponse, redis: Redis
) -> None:
    created = await create_api_key(client)
    async with redis.pubsub() as gateway:
        await gateway.subscribe("rostra:revoked")
        assert await gateway.get_message(timeout=2)  # the subscription stands
        await revoke(client, created.api_key.id)
        message = await gateway.get_message(timeout=2)
    assert message is not None
    assert message["data"] == f"key:{created.api_key.id}".encode()
    with pytest.raises(UnauthenticatedError):
        await caller_of(client, created.secret)
    with pytest.raises(NotFoundError) as refused:
        await revoke(client, created.api_key.id)
    assert refused.value.reason == ErrorReason.ERROR_REASON_API_KEY_NOT_FOUND


async def test_other_users_key_does_not_exist(client: UserClient, alice: pb.CreateUserResponse) -> None:
    created = await create_api_key(client)
    bob = await register(client, email="bob@example.com")
    call_as(bob.user.id)
    with pytest.raises(NotFoundError) as refused:
        await revoke(client, created.api_key.id)
    with pytest.raises(NotFoundError) as unknown:
        await revoke(client, created.api_key.id[:-1] + "x")
    assert refused.value.reason == unknown.value.reason == ErrorReason.ERROR_REASON_API_KEY_NOT_FOUND
    assert await list_ids(client) == ([], False)
    assert (await caller_of(client, created.secret)).caller.user_id == alice.user.id


@pytest.mark.parametrize("digest", [b"", b"short", b"x" * 32, b"x" * 33])
async def test_unknown_digest_stands_for_nobody(client: UserClient, digest: bytes) -> None:
    with pytest.raises(UnauthenticatedError) as refused:
        await client.call(client.stub.GetApiKeyCaller, pb.GetApiKeyCallerRequest(secret_sha256=digest))
    assert refused.value.reason == ErrorReason.ERROR_REASON_INVALID_API_KEY
