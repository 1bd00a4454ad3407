import asyncio
import statistics
import time

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from redis.asyncio import Redis

from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra.user.v1 import user_service_pb2 as pb
from rostra_kit.context import RequestContext, set_current_request
from rostra_kit.errors import AppError, InvalidArgumentError, UnauthenticatedError
from rostra_kit.testing.grpc import call_as
from rostra_user.passwords import PasswordHasher
from rostra_user.settings import PasswordSettings, Settings
from rostra_user.sql.accounts import SqlAccountStore
from rostra_user.sql.database import Database
from rostra_user.sql.engine import open_engine
from rostra_user.testing.journey import EMAIL, PASSWORD, UserClient, is_live, refresh, register, session_id, sign_in
from rostra_user.testing.records import SettableClock


@pytest.fixture
async def alice(client: UserClient) -> pb.CreateUserResponse:
    return await register(client)


def refreshes(registry: CollectorRegistry, outcome: str) -> float | None:
    return registry.get_sample_value("rostra_user_refreshes_total", {"outcome": outcome})


async def test_log_in_starts_a_session_of_its_own(client: UserClient, alice: pb.CreateUserResponse) -> None:
    session = await sign_in(client, " ALICE@example.com")
    assert session.user == alice.user
    assert session_id(session.tokens) != session_id(alice.tokens)
    assert await is_live(client, session.tokens)


@pytest.mark.parametrize(
    ("email", "password"),
    [(EMAIL, "wrong password"), ("bob@example.com", PASSWORD), ("nonsense", PASSWORD), (EMAIL, ""), ("", "")],
)
async def test_wrong_log_ins_look_all_the_same(
    client: UserClient, alice: pb.CreateUserResponse, email: str, password: str
) -> None:
    with pytest.raises(UnauthenticatedError) as refused:
        await sign_in(client, email, password)
    assert refused.value.reason == ErrorReason.ERROR_REASON_INVALID_CREDENTIALS
    assert refused.value.message == "The e-mail address or the password is not right."
    assert refused.value.param is None


async def test_log_in_with_a_caller_that_cannot_be_read_is_refused(
    client: UserClient, alice: pb.CreateUserResponse
) -> None:
    set_current_request(RequestContext(caller=b"\xff"))
    with pytest.raises(UnauthenticatedError, match="cannot be read"):
        await sign_in(client)


class TestTime:
    @pytest.fixture
    def cheap_passwords(self) -> PasswordSettings:
        """Make hashing the bulk of the time."""
        return PasswordSettings(memory_kib=19 * 1024, iterations=2)

    async def test_unknown_account_takes_as_long_as_a_wrong_password(
        self, client: UserClient, alice: pb.CreateUserResponse
    ) -> None:
        async def seconds(email: str) -> float:
            # The processor's time, hashing threads included: other processes' is not in it.
            started = time.process_time()
            with pytest.raises(UnauthenticatedError):
                await sign_in(client, email, "wrong password")
            return time.process_time() - started

        pairs = [(await seconds(EMAIL), await seconds("bob@example.com")) for _ in range(9)]
        known, unknown = (statistics.median(column) for column in zip(*pairs, strict=True))
        assert 0.6 < unknown / known < 1.7


async def test_refresh_token_works_once_and_its_reuse_ends_the_session(
    client: UserClient, alice: pb.CreateUserResponse, registry: CollectorRegistry
) -> None:
    first = alice.tokens.refresh_token
    second = await refresh(client, first)
    third = await refresh(client, second)
    assert await is_live(client, alice.tokens)
    with pytest.raises(UnauthenticatedError) as refused:
        await refresh(client, first)
    assert refused.value.reason == ErrorReason.ERROR_REASON_INVALID_REFRESH_TOKEN
    assert not await is_live(client, alice.tokens)
    with pytest.raises(UnauthenticatedError):
        await refresh(client, third)
    assert (refreshes(registry, "ok"), refreshes(registry, "reused"), refreshes(registry, "refused")) == (2, 1, 1)


async def test_reuse_leaves_other_sessions_alone(client: UserClient, alice: pb.CreateUserResponse) -> None:
    other = await sign_in(client)
    await refresh(client, alice.tokens.refresh_token)
    with pytest.raises(UnauthenticatedError):
        await refresh(client, alice.tokens.refresh_token)
    assert await is_live(client, other.tokens)


async def test_of_forty_refreshes_with_one_token_one_wins(client: UserClient, alice: pb.CreateUserResponse) -> None:
    results = await asyncio.gather(
        *(refresh(client, alice.tokens.refresh_token) for _ in range(40)), return_exceptions=True
    )
    assert sum(isinstance(result, str) for result in results) == 1
    assert sum(isinstance(result, UnauthenticatedError) for result in results) == 39


async def test_guessed_refresh_token_does_not_end_the_session(client: UserClient, alice: pb.CreateUserResponse) -> None:
    name = alice.tokens.refresh_token.split("-")[1]
    guess = f"rt-{name}-{'0' * 32}-{'0' * 64}"
    with pytest.raises(UnauthenticatedError):
        await refresh(client, guess)
    await client.call(client.stub.DeleteSession, pb.DeleteSessionRequest(refresh_token=guess))
    assert await is_live(client, alice.tokens)
    await refresh(client, alice.tokens.refresh_token)


@pytest.mark.parametrize("token", ["", "nonsense", "rt-", "rt-" + "0" * 32 + "-" + "0" * 32 + "-" + "0" * 64, "\0"])
async def test_unknown_refresh_token_is_refused(client: UserClient, token: str) -> None:
    with pytest.raises(UnauthenticatedError) as refused:
        await refresh(client, token)
    assert refused.value.reason == ErrorReason.ERROR_REASON_INVALID_REFRESH_TOKEN


async def test_session_lasts_as_long_as_it_is_renewed_in_time(
    client: UserClient, alice: pb.CreateUserResponse, clock: SettableClock
) -> None:
    clock.advance(days=29)
    token = await refresh(client, alice.tokens.refresh_token)
    clock.advance(days=29)
    token = await refresh(client, token)
    clock.advance(days=30)
    assert not await is_live(client, alice.tokens)
    with pytest.raises(UnauthenticatedError):
        await refresh(client, token)


async def test_signing_out_ends_the_callers_session_and_can_be_repeated(
    client: UserClient, alice: pb.CreateUserResponse
) -> None:
    other = await sign_in(client)
    call_as(alice.user.id, session_id=session_id(alice.tokens))
    for _ in range(2):
        await client.call(client.stub.DeleteSession, pb.DeleteSessionRequest())
    assert not await is_live(client, alice.tokens)
    assert await is_live(client, other.tokens)


async def test_signing_out_by_refresh_token_needs_no_caller_and_can_be_repeated(
    client: UserClient, alice: pb.CreateUserResponse
) -> None:
    newest = await refresh(client, alice.tokens.refresh_token)
    for token in (alice.tokens.refresh_token, newest):
        await client.call(client.stub.DeleteSession, pb.DeleteSessionRequest(refresh_token=token))
    assert not await is_live(client, alice.tokens)


async def test_signing_out_says_what_is_missing(client: UserClient, alice: pb.CreateUserResponse) -> None:
    with pytest.raises(UnauthenticatedError):
        await client.call(client.stub.DeleteSession, pb.DeleteSessionRequest())
    with pytest.raises(UnauthenticatedError):
        await client.call(client.stub.DeleteSession, pb.DeleteSessionRequest(refresh_token="nonsense"))
    call_as(alice.user.id, api_key_id="key_1")
    with pytest.raises(InvalidArgumentError) as refused:
        await client.call(client.stub.DeleteSession, pb.DeleteSessionRequest())
    assert refused.value.param == "refresh_token"


async def test_ended_session_is_announced(client: UserClient, alice: pb.CreateUserResponse, redis: Redis) -> None:
    async with redis.pubsub(ignore_subscribe_messages=True) as gateway:
        await gateway.subscribe("rostra:revoked")
        await gateway.get_message(ignore_subscribe_messages=False, timeout=2)
        call_as(alice.user.id, session_id=session_id(alice.tokens))
        await client.call(client.stub.DeleteSession, pb.DeleteSessionRequest())
        message = await gateway.get_message(timeout=2)
    assert message is not None
    assert message["data"] == f"session:{session_id(alice.tokens)}".encode()


class TestWithoutRedis:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        nowhere = settings.redis.model_copy(update={"url": SecretStr("redis://127.0.0.1:1/0")})
        return settings.model_copy(update={"redis": nowhere})

    async def test_signing_out_works_and_the_silence_is_counted(
        self, client: UserClient, alice: pb.CreateUserResponse, registry: CollectorRegistry
    ) -> None:
        started = time.perf_counter()
        token = alice.tokens.refresh_token
        await client.call(client.stub.DeleteSession, pb.DeleteSessionRequest(refresh_token=token))
        assert time.perf_counter() - started < 2
        assert not await is_live(client, alice.tokens)
        assert registry.get_sample_value("rostra_user_revocations_total", {"outcome": "failed"}) == 1


async def test_log_in_renews_a_hash_of_another_cost(
    client: UserClient, alice: pb.CreateUserResponse, settings: Settings
) -> None:
    with PasswordHasher(PasswordSettings(memory_kib=16, iterations=1)) as hasher:
        outdated = await hasher.hash(PASSWORD)
    async with open_engine(settings.database) as engine:
        accounts = SqlAccountStore(Database(engine))
        old_hash = (await accounts.get(alice.user.id)).password_hash
        await accounts.replace_hash(alice.user.id, old_hash=old_hash, new_hash=outdated)
        with pytest.raises(UnauthenticatedError):
            await sign_in(client, password="wrong password")
        assert (await accounts.get(alice.user.id)).password_hash == outdated
        await sign_in(client)
        renewed = (await accounts.get(alice.user.id)).password_hash
    assert ("m=16," in outdated, "m=8," in renewed) == (True, True)
    await sign_in(client)


async def test_log_ins_are_counted(
    client: UserClient, alice: pb.CreateUserResponse, registry: CollectorRegistry
) -> None:
    await sign_in(client)
    with pytest.raises(AppError):
        await sign_in(client, password="wrong password")
    counted = [
        registry.get_sample_value("rostra_user_log_ins_total", {"outcome": outcome}) for outcome in ("ok", "refused")
    ]
    assert counted == [1, 1]
