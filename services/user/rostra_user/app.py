"""The composition root: the only module that names implementations."""

import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from prometheus_client import CollectorRegistry

from rostra.history.v1.history_service_pb2 import DESCRIPTOR as HISTORY
from rostra.history.v1.history_service_pb2_grpc import HistoryServiceStub
from rostra.user.v1.admin_service_pb2_grpc import add_AdminServiceServicer_to_server
from rostra.user.v1.user_service_pb2_grpc import add_UserServiceServicer_to_server
from rostra_kit.client import ServiceClient
from rostra_kit.redis import open_redis
from rostra_kit.rpc_metrics import ClientRpcMetrics
from rostra_kit.server import GrpcApp, all_of
from rostra_kit.telemetry.database import DatabaseMetrics
from rostra_kit.telemetry.sql import watch_statements
from rostra_user.admin_servicer import AdminServicer
from rostra_user.background import repeated
from rostra_user.clock import Clock, utc_now
from rostra_user.history import HistoryEraser
from rostra_user.metrics import UserMetrics
from rostra_user.passwords import PasswordHasher
from rostra_user.revocations import RedisRevocations
from rostra_user.service.accounts import AccountService, RegistrationPolicy
from rostra_user.service.admin import AdminService
from rostra_user.service.api_keys import ApiKeyService
from rostra_user.service.audit import AuditLog
from rostra_user.service.erasure import ErasureService
from rostra_user.service.sessions import SessionService
from rostra_user.service.tokens import TokenIssuer
from rostra_user.service.usage import UsageService
from rostra_user.servicer import UserServicer
from rostra_user.settings import DatabaseSettings, Settings
from rostra_user.signing_keys import SigningKeys, create_first_key
from rostra_user.sql.accounts import SqlAccountStore
from rostra_user.sql.api_keys import SqlApiKeyStore
from rostra_user.sql.audit_events import SqlAuditStore
from rostra_user.sql.database import Database
from rostra_user.sql.directory import SqlUserDirectory
from rostra_user.sql.engine import open_engine, watch_pool
from rostra_user.sql.erasures import SqlErasureStore
from rostra_user.sql.plans import SqlPlanStore
from rostra_user.sql.replica import StaleReader, replica_settings
from rostra_user.sql.schema import check_schema, is_up_to_date
from rostra_user.sql.sessions import SqlSessionStore
from rostra_user.sql.usage import SqlUsageStore
from rostra_user.usage_consumer import UsageConsumer


@asynccontextmanager
async def build(settings: Settings, registry: CollectorRegistry, *, clock: Clock = utc_now) -> AsyncIterator[GrpcApp]:
    """Open everything that the user service needs, and close it in reverse order."""
    metrics = UserMetrics(registry)
    async with AsyncExitStack() as stack:
        keys = _signing_keys(settings, clock)
        hasher = stack.enter_context(PasswordHasher(settings.passwords))
        engine = await stack.enter_async_context(open_engine(settings.database))
        if settings.database.migrates_on_start and not await is_up_to_date(engine):
            from rostra_user.sql.migration import upgrade  # noqa: PLC0415 - large, and needed once

            await upgrade(engine)
        redis = await stack.enter_async_context(open_redis(settings.redis, registry))
        calls_made = ClientRpcMetrics(registry)
        history = await stack.enter_async_context(
            ServiceClient(HistoryServiceStub, HISTORY.services_by_name["HistoryService"], settings.history, calls_made)
        )
        statements = DatabaseMetrics(registry)
        watch_statements(engine, statements)
        watch_pool(engine, metrics.database_connections, metrics.database_connections_limit)
        database = Database(engine, metrics.database_wait_seconds.time)
        replica = await _open_replica(settings.database, stack, statements)
        shown_from = StaleReader(database, replica, metrics.replica_reads)
        accounts, usage = SqlAccountStore(database), SqlUsageStore(database, shown_from)
        revocations = RedisRevocations(redis.commands, metrics)
        issuer = TokenIssuer(keys, settings.sessions)
        audit_store = SqlAuditStore(database)
        audit = AuditLog(audit_store, keep_days=settings.audit.keep_days, clock=clock)
        erasure = ErasureService(
            erasures=SqlErasureStore(database),
            usage=usage,
            audit=audit_store,
            elsewhere=HistoryEraser(history),
            settings=settings.erasure,
            metrics=metrics,
            clock=clock,
        )
        consumer = UsageConsumer(
            redis=redis.streams,
            usage=usage,
            settings=settings.usage_queue,
            metrics=metrics,
            name=f"{socket.gethostname()}-{secrets.token_hex(4)}",
        )
        servicer = UserServicer(
            accounts=AccountService(
                accounts=accounts,
                hasher=hasher,
                issuer=issuer,
                revocations=revocations,
                erasure=erasure,
                audit=audit,
                registration=RegistrationPolicy(mode=settings.registration, invitation_code=settings.invitation_code),
                metrics=metrics,
                clock=clock,
            ),
            sessions=SessionService(
                accounts=accounts,
                sessions=SqlSessionStore(database),
                hasher=hasher,
                issuer=issuer,
                audit=audit,
                revocations=revocations,
                metrics=metrics,
                clock=clock,
            ),
            api_keys=ApiKeyService(
                api_keys=SqlApiKeyStore(database),
                audit=audit,
                revocations=revocations,
                live_limit=settings.api_keys_per_user,
                clock=clock,
            ),
            usage=UsageService(usage=usage, clock=clock),
            clock=clock,
        )
        admin_servicer = AdminServicer(
            AdminService(
                directory=SqlUserDirectory(database),
                plans=SqlPlanStore(database),
                usage=usage,
                audit=audit,
                revocations=revocations,
                clock=clock,
            ),
            clock=clock,
        )
        for name, turn, pause_seconds in (
            ("signing_keys", keys.reload, settings.sessions.signing_keys_reload_seconds),
            ("usage_queue", consumer.run, settings.usage_queue.retry_seconds),
            ("erasure", erasure.erase_due, settings.erasure.interval_seconds),
            ("audit", audit.expire, settings.audit.interval_seconds),
        ):
            failures = metrics.background_failures.labels(name)
            await stack.enter_async_context(repeated(name, turn, pause_seconds=pause_seconds, failures=failures))

        register = all_of(
            partial(add_UserServiceServicer_to_server, servicer),
            partial(add_AdminServiceServicer_to_server, admin_servicer),
        )
        yield GrpcApp(register, readiness=[partial(check_schema, engine)])


async def _open_replica(
    settings: DatabaseSettings, stack: AsyncExitStack, statements: DatabaseMetrics
) -> Database | None:
    replica = replica_settings(settings)
    if replica is None:
        return None
    engine = await stack.enter_async_context(open_engine(replica))
    watch_statements(engine, statements)
    return Database(engine)


def _signing_keys(settings: Settings, clock: Clock) -> SigningKeys:
    if settings.environment == "development":
        create_first_key(settings.signing_keys_directory, clock())
    return SigningKeys(settings.signing_keys_directory)
