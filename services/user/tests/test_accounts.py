import asyncio

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from prometheus_client import CollectorRegistry

from rostra.common.v1.caller_pb2 import Limits, Role
from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra.user.v1 import user_service_pb2 as pb
from rostra_kit.errors import (
    AlreadyExistsError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from rostra_kit.testing.grpc import call_as
from rostra_user.settings import Settings
from rostra_user.testing.journey import EMAIL, PASSWORD, UserClient, is_live, refresh, register, session_id, sign_in
from rostra_user.testing.records import NOW, SettableClock


async def update(client: UserClient, **changes: str) -> pb.UpdateUserResponse:
    return await client.call(client.stub.UpdateUser, pb.UpdateUserRequest(**changes))


async def test_registered_user_is_told_their_account(client: UserClient) -> None:
    user = (await register(client, email="Alice@Example.com")).user
    assert user.id.startswith("user_")
    assert (user.email, user.name, user.role, user.plan) == ("Alice@example.com", "Alice", Role.ROLE_USER, "default")
    assert user.limits == Limits(requests_per_minute=600, tokens_per_minute=500_000, concurrent_streams=50)
    assert user.create_time.ToMicroseconds() == round(NOW.timestamp() * 1_000_000)
    call_as(user.id)
    assert (await client.call(client.stub.GetUser, pb.GetUserRequest())).user == user


async def test_access_token_verifies_with_a_published_key(client: UserClient) -> None:
    created = await register(client)
    keys = (await client.call(client.stub.ListSigningKeys, pb.ListSigningKeysRequest())).keys
    token = created.tokens.access_token
    public_key = {key.kid: key.public_key for key in keys}[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(
        token,
        Ed25519PublicKey.from_public_bytes(public_key),
        algorithms=["EdDSA"],
        audience="rostra",
        issuer="rostra",
        options={"require": ["sub", "sid", "iat", "exp"], "verify_exp": False, "verify_iat": False},
    )
    assert claims["sub"] == created.user.id
    assert claims["exp"] - claims["iat"] == created.tokens.expires_in.seconds == 600
    caller = await client.call(client.stub.GetSessionCaller, pb.GetSessionCallerRequest(session_id=claims["sid"]))
    assert caller.caller.user_id == created.user.id
    assert caller.caller.session_id == claims["sid"]
    assert caller.caller.user_limits == created.user.limits
    assert not caller.caller.HasField("key_limits")


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"email": "alice"}, "email"),
        ({"email": ""}, "email"),
        ({"email": "a\0@example.com"}, "email"),
        ({"password": "short"}, "password"),
        ({"password": "x" * 257}, "password"),
        ({"password": "alice@example.COM"}, "password"),
        ({"name": "x" * 201}, "name"),
        ({"name": "a\0b"}, "name"),
    ],
)
async def test_unacceptable_registration_names_the_field(client: UserClient, changes: dict, param: str) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        await register(client, **changes)
    assert (refused.value.param, refused.value.reason) == (param, ErrorReason.ERROR_REASON_UNPROCESSABLE)


async def test_other_spelling_of_a_taken_address_is_refused(client: UserClient, registry: CollectorRegistry) -> None:
    await register(client)
    with pytest.raises(AlreadyExistsError) as refused:
        await register(client, email="ALICE@example.com ")
    assert (refused.value.param, refused.value.reason) == ("email", ErrorReason.ERROR_REASON_EMAIL_TAKEN)
    counted = {
        outcome: registry.get_sample_value("rostra_user_sign_ups_total", {"outcome": outcome})
        for outcome in ("created", "taken")
    }
    assert counted == {"created": 1, "taken": 1}


async def test_registrations_of_one_address_at_once_make_one_account(client: UserClient) -> None:
    results = await asyncio.gather(*(register(client) for _ in range(8)), return_exceptions=True)
    assert sum(isinstance(result, pb.CreateUserResponse) for result in results) == 1
    assert sum(isinstance(result, AlreadyExistsError) for result in results) == 7


class TestClosedRegistration:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"registration": "closed"})

    async def test_nobody_can_register(self, client: UserClient) -> None:
        with pytest.raises(PermissionDeniedError) as refused:
            await register(client)
        assert refused.value.reason == ErrorReason.ERROR_REASON_REGISTRATION_CLOSED


class TestInvitedRegistration:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        values = settings.model_dump() | {"registration": "invited", "invitation_code": "s\u00e9same"}
        return Settings.model_validate(values)

    @pytest.mark.parametrize("code", ["", "sesame", "s\u00e9same "])
    async def test_wrong_code_is_refused(self, client: UserClient, code: str) -> None:
        with pytest.raises(PermissionDeniedError) as refused:
            await register(client, invitation_code=code)
        assert refused.value.reason == ErrorReason.ERROR_REASON_REGISTRATION_CLOSED

    async def test_right_code_lets_in(self, client: UserClient) -> None:
        assert (await register(client, invitation_code="s\u00e9same")).user.id


async def test_name_changes_without_a_password(client: UserClient) -> None:
    created = await register(client)
    call_as(created.user.id)
    assert (await update(client, name="")).user.name == ""
    assert (await update(client)).user.name == ""


async def test_new_address_signs_in_and_the_old_one_does_not(client: UserClient) -> None:
    created = await register(client)
    call_as(created.user.id)
    changed = await update(client, email="al@example.com", current_password=PASSWORD)
    assert changed.user.email == "al@example.com"
    await sign_in(client, "al@example.com")
    with pytest.raises(UnauthenticatedError):
        await sign_in(client, EMAIL)
    await register(client)  # the address is free again


async def test_new_password_ends_all_sessions_but_the_callers(client: UserClient) -> None:
    created = await register(client)
    mine, other = await sign_in(client), await sign_in(client)
    call_as(created.user.id, session_id=session_id(mine.tokens))
    await update(client, new_password="battery staple", current_password=PASSWORD)
    assert await is_live(client, mine.tokens)
    assert not await is_live(client, other.tokens)
    assert not await is_live(client, created.tokens)
    with pytest.raises(UnauthenticatedError):
        await refresh(client, other.tokens.refresh_token)
    with pytest.raises(UnauthenticatedError):
        await sign_in(client)
    await sign_in(client, password="battery staple")


@pytest.mark.parametrize("change", [{"email": "al@example.com"}, {"new_password": "battery staple"}])
async def test_credentials_do_not_change_without_the_present_password(client: UserClient, change: dict) -> None:
    created = await register(client)
    call_as(created.user.id)
    with pytest.raises(InvalidArgumentError) as refused:
        await update(client, **change, name="Eve")
    assert refused.value.param == "current_password"
    assert refused.value.reason == ErrorReason.ERROR_REASON_MISSING_REQUIRED_PARAMETER
    with pytest.raises(PermissionDeniedError) as refused_too:
        await update(client, **change, name="Eve", current_password="battery horse")
    assert refused_too.value.param == "current_password"
    user = (await client.call(client.stub.GetUser, pb.GetUserRequest())).user
    assert (user.email, user.name) == (EMAIL, "Alice")


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"name": "x" * 201}, "name"),
        ({"email": "nonsense", "current_password": PASSWORD}, "email"),
        ({"new_password": "short", "current_password": PASSWORD}, "new_password"),
        ({"new_password": EMAIL, "current_password": PASSWORD}, "new_password"),
    ],
)
async def test_unacceptable_change_names_the_field(client: UserClient, change: dict, param: str) -> None:
    created = await register(client)
    call_as(created.user.id)
    with pytest.raises(InvalidArgumentError) as refused:
        await update(client, **change)
    assert refused.value.param == param


async def test_address_of_somebody_else_is_refused(client: UserClient) -> None:
    await register(client, email="bob@example.com")
    created = await register(client)
    call_as(created.user.id)
    with pytest.raises(AlreadyExistsError) as refused:
        await update(client, email="BOB@example.com", current_password=PASSWORD)
    assert refused.value.reason == ErrorReason.ERROR_REASON_EMAIL_TAKEN


async def test_calls_without_a_caller_are_refused(client: UserClient) -> None:
    with pytest.raises(UnauthenticatedError):
        await client.call(client.stub.GetUser, pb.GetUserRequest())
    with pytest.raises(UnauthenticatedError):
        await update(client, name="x")


async def test_account_that_is_gone_is_not_found(client: UserClient) -> None:
    call_as("user_gone")
    with pytest.raises(NotFoundError) as refused:
        await client.call(client.stub.GetUser, pb.GetUserRequest())
    assert refused.value.reason == ErrorReason.ERROR_REASON_USER_NOT_FOUND


async def test_account_is_dated_by_the_clock(client: UserClient, clock: SettableClock) -> None:
    clock.advance(days=1)
    assert (await register(client)).user.create_time.seconds == int(NOW.timestamp()) + 86400
