import hashlib

import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from rostra.user.v1 import user_service_pb2 as pb
from rostra_kit.errors import NotFoundError, UnauthenticatedError, UnavailableError
from rostra_kit.testing.grpc import call_as
from rostra_user.domain import User
from rostra_user.metrics import UserMetrics
from rostra_user.service.erasure import ErasureService
from rostra_user.settings import ErasureSettings
from rostra_user.sql.accounts import SqlAccountStore
from rostra_user.sql.audit_events import SqlAuditStore
from rostra_user.sql.database import Database
from rostra_user.sql.erasures import SqlErasureStore
from rostra_user.sql.usage import SqlUsageStore
from rostra_user.testing.history import HistoryStandIn
from rostra_user.testing.journey import UserClient, create_api_key, is_live, refresh, register, sign_in
from rostra_user.testing.records import NOW, SettableClock, a_stored_user, an_event


async def delete(client: UserClient) -> None:
    # One attempt: the channel would repeat an idempotent call.
    await client.call(client.stub.DeleteUser, pb.DeleteUserRequest())


async def test_deleted_account_is_gone_everywhere(client: UserClient, history: HistoryStandIn, redis: Redis) -> None:
    alice = await register(client)
    call_as(alice.user.id)
    secret = (await create_api_key(client)).secret
    async with redis.pubsub() as gateway:
        await gateway.subscribe("rostra:revoked")
        assert await gateway.get_message(timeout=2)  # the subscription stands
        await delete(client)
        message = await gateway.get_message(timeout=2)
    assert message is not None
    assert message["data"] == f"user:{alice.user.id}".encode()
    assert history.erased == [alice.user.id]
    assert not await is_live(client, alice.tokens)
    with pytest.raises(UnauthenticatedError):
        await refresh(client, alice.tokens.refresh_token)
    with pytest.raises(UnauthenticatedError):
        await sign_in(client)
    with pytest.raises(UnauthenticatedError):
        digest = hashlib.sha256(secret.encode()).digest()
        await client.call(client.stub.GetApiKeyCaller, pb.GetApiKeyCallerRequest(secret_sha256=digest))
    with pytest.raises(NotFoundError):
        await client.call(client.stub.GetUser, pb.GetUserRequest())
    await register(client)  # the address is free


async def test_deletion_can_be_repeated(client: UserClient, history: HistoryStandIn) -> None:
    alice = await register(client)
    call_as(alice.user.id)
    await delete(client)
    await delete(client)
    assert set(history.erased) == {alice.user.id}


async def test_account_is_gone_even_while_history_is_down(client: UserClient, history: HistoryStandIn) -> None:
    alice = await register(client)
    call_as(alice.user.id)
    history.is_down = True
    with pytest.raises(UnavailableError) as refused:
        await delete(client)
    assert refused.value.retry_after_seconds == 1
    assert not await is_live(client, alice.tokens)
    with pytest.raises(UnauthenticatedError):
        await sign_in(client)
    history.is_down = False
    await delete(client)
    assert history.erased == [alice.user.id]


class Elsewhere:
    """A place that stores data of users, and may be down."""

    def __init__(self) -> None:
        self.erased: list[str] = []
        self.is_down = False

    async def erase(self, user_id: str) -> None:
        if self.is_down:
            raise UnavailableError("down")
        self.erased.append(user_id)


class TestInTheBackground:
    @pytest.fixture
    def elsewhere(self) -> Elsewhere:
        return Elsewhere()

    @pytest.fixture
    def erasure(
        self, sqlite_database: Database, elsewhere: Elsewhere, registry: CollectorRegistry, clock: SettableClock
    ) -> ErasureService:
        return ErasureService(
            erasures=SqlErasureStore(sqlite_database),
            usage=SqlUsageStore(sqlite_database),
            audit=SqlAuditStore(sqlite_database),
            elsewhere=elsewhere,
            settings=ErasureSettings(last_pass_after_seconds=900),
            metrics=UserMetrics(registry),
            clock=clock,
        )

    @pytest.fixture
    async def deleted(self, sqlite_database: Database) -> User:
        user = await a_stored_user(sqlite_database)
        await SqlUsageStore(sqlite_database).record([an_event(user.id)])
        await SqlAccountStore(sqlite_database).delete(user.id, NOW)
        return user

    async def test_failed_erasure_is_tried_until_it_succeeds(
        self,
        erasure: ErasureService,
        elsewhere: Elsewhere,
        deleted: User,
        sqlite_database: Database,
        registry: CollectorRegistry,
    ) -> None:
        elsewhere.is_down = True
        await erasure.erase_due()
        await erasure.erase_due()
        assert registry.get_sample_value("rostra_user_erasures_failed_total") == 2
        elsewhere.is_down = False
        await erasure.erase_due()
        await erasure.erase_due()
        assert elsewhere.erased == [deleted.id]
        usage = SqlUsageStore(sqlite_database)
        assert await usage.sum_cost(deleted.id, start=NOW, end=NOW.replace(year=2027)) == 0

    async def test_last_pass_comes_when_all_calls_have_ended(
        self, erasure: ErasureService, elsewhere: Elsewhere, deleted: User, clock: SettableClock
    ) -> None:
        await erasure.erase_due()
        clock.advance(seconds=899)
        await erasure.erase_due()
        assert elsewhere.erased == [deleted.id]
        clock.advance(seconds=1)
        await erasure.erase_due()
        await erasure.erase_due()
        assert elsewhere.erased == [deleted.id, deleted.id]

    async def test_one_failure_does_not_hold_up_the_others(
        self, erasure: ErasureService, elsewhere: Elsewhere, deleted: User, sqlite_database: Database
    ) -> None:
        other = await a_stored_user(sqlite_database)
        await SqlAccountStore(sqlite_database).delete(other.id, NOW)
        erase = elsewhere.erase

        async def fail_for_one(user_id: str) -> None:
            elsewhere.is_down = user_id == deleted.id
            await erase(user_id)

        elsewhere.erase = fail_for_one
        await erasure.erase_due()
        assert elsewhere.erased == [other.id]
