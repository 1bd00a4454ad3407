"""The gateway's composition root: what it is made of, and the application that serves it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from rostra_gateway.active_users import ActiveUsers
from rostra_gateway.admission import Admission
from rostra_gateway.authentication import Authenticator
from rostra_gateway.caller_cache import CallerCache
from rostra_gateway.clients import open_clients
from rostra_gateway.dependencies import Edge
from rostra_gateway.direct_route import DirectRoutes
from rostra_gateway.exception_handlers import install_exception_handlers
from rostra_gateway.idempotency.store import IdempotencyStore
from rostra_gateway.metrics import GatewayMetrics
from rostra_gateway.middleware import EdgeMiddleware
from rostra_gateway.openapi import install_openapi
from rostra_gateway.revocation_listener import RevocationListener
from rostra_gateway.routes import (
    admin,
    api_keys,
    auth,
    chat_completions,
    conversation_search,
    conversation_title,
    conversations,
    exports,
    feedback,
    health,
    imports,
    me,
    models,
    response_tools,
    responses,
    shared_page,
    shares,
    stored_chat_completions,
    usage,
)
from rostra_gateway.settings import Settings
from rostra_kit.limits import open_limiter
from rostra_kit.redis import open_redis


@asynccontextmanager
async def build(settings: Settings, registry: CollectorRegistry) -> AsyncIterator[FastAPI]:
    """Open everything that the gateway needs, yield its application, and close in reverse order."""
    metrics = GatewayMetrics(registry)
    async with (
        open_clients(settings, registry) as clients,
        open_redis(settings.redis, registry) as redis,
        open_limiter(redis.limiter, on_fallback=metrics.limiter_fallbacks.inc) as limiter,
        anyio.create_task_group() as tasks,
    ):
        cache = CallerCache(max_callers=settings.cache.max_callers)
        revocations = RevocationListener(redis.streams, cache)
        tasks.start_soon(revocations.run)
        tasks.start_soon(ActiveUsers(redis.commands, metrics).run)
        edge = Edge(
            settings=settings,
            clients=clients,
            authenticator=Authenticator(clients, cache, revocations, settings.cache, metrics),
            admission=Admission(
                limiter, settings.address_limits, metrics, stream_hold_seconds=settings.stream_hold_seconds
            ),
            idempotency=IdempotencyStore(redis.commands, settings.idempotency),
            import_turns=asyncio.Semaphore(settings.imports.max_at_once),
            metrics=metrics,
        )
        yield new_app(edge)
        tasks.cancel_scope.cancel()


def new_app(edge: Edge) -> FastAPI:
    """Return the application that serves `edge`."""
    app = FastAPI(
        title="Rostra",
        version="0.1.0",
        description="The OpenAI API, served by your own cluster.",
        # A redirect would repeat the Host header, which the client chose.
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
        # Its own spans hold paths and queries, and so what people search for; the middleware's hold neither.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.edge = edge
    for module in (
        *(health, models, chat_completions, stored_chat_completions, responses, response_tools),
        # In this order: what is called "search" or "import" is no conversation's id.
        *(conversation_search, imports, exports, conversations),
        *(conversation_title, feedback, shares, shared_page),
        *(auth, me, api_keys, usage, admin),
    ):
        app.include_router(module.router)
    app.add_middleware(
        DirectRoutes,
        served=(
            (chat_completions.router, chat_completions.create_chat_completion),
            (responses.router, responses.create_response),
        ),
    )
    edge.metrics.begin([chat_completions.router.prefix, responses.router.prefix])
    app.add_middleware(EdgeMiddleware, settings=edge.settings, metrics=edge.metrics)
    install_exception_handlers(app)
    install_openapi(app)
    return app
