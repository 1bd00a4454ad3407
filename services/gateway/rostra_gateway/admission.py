"""The limits of requests and of open streams, per address, user and API key: reserved before anything else is done."""

import asyncio
import hashlib
import math
import unicodedata
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from rostra.common.v1.caller_pb2 import Caller, Limits
from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra_gateway.exchange import Exchange
from rostra_gateway.metrics import GatewayMetrics
from rostra_gateway.settings import AddressLimits
from rostra_kit.errors import ResourceExhaustedError, UnavailableError
from rostra_kit.limits import Claim, Grant, Limiter, Outcome, RateClaim, Refusal, SlotClaim
from rostra_kit.tasks import Every, uninterrupted

_RENEWALS_PER_HOLD = 3


class Admission:
    """Admits requests within the limits, and refuses the others with 429.

    Args:
        limiter: Counts over all gateways.
        settings: What one address may do.
        metrics: Counts refusals.
        stream_hold_seconds: How long an open stream counts that nobody renews.
    """

    def __init__(
        self, limiter: Limiter, settings: AddressLimits, metrics: GatewayMetrics, *, stream_hold_seconds: float
    ) -> None:
        self._limiter = limiter
        self._settings = settings
        self._metrics = metrics
        self._stream_hold_seconds = stream_hold_seconds

    async def admit_sign_in(self, exchange: Exchange) -> None:
        """Admit a request that shows a password, which can be guessed: only while all gateways count together.

        Raises:
            ResourceExhaustedError: The address has tried too often.
            UnavailableError: Redis is away; every pod alone would allow a guesser the whole limit.
        """
        if (await self.admit_stranger(exchange)).origin == "local":
            raise UnavailableError(
                "Signing in is limited, and limits cannot be checked right now.",
                reason=ErrorReason.ERROR_REASON_LIMITS_UNAVAILABLE,
                retry_after_seconds=1,
            )

    async def admit_log_in(self, email: str, exchange: Exchange) -> None:
        """Admit a log-in to the account with this address, whether there is one or not.

        It counts the account's log-ins over all addresses, so that a guesser gains nothing by having many. The account
        is not locked: the limit refills by the second, and sessions and API keys that exist go on.

        Raises:
            ResourceExhaustedError: The account was tried too often.
        """
        digest = hashlib.sha256(unicodedata.normalize("NFKC", email).strip().casefold().encode()).hexdigest()
        claim = RateClaim("requests", f"limit:{{{digest}}}:log_ins", limit=self._settings.log_ins_per_account)
        await self._reserve([claim], exchange, f"{exchange.request_id}:l")

    async def admit_stranger(self, exchange: Exchange) -> Grant:
        """Admit a request that is about to become somebody; it counts against its address alone."""
        key = f"limit:{{{exchange.address}}}:sign_ins"
        limit = self._settings.sign_ins_per_minute
        return await self._reserve([RateClaim("requests", key, limit=limit)], exchange, f"{exchange.request_id}:a")

    async def admit(self, caller: Caller, exchange: Exchange) -> None:
        """Admit an ordinary request.

        Raises:
            ResourceExhaustedError: A limit is reached; nothing was counted against the caller.
        """
        await self._admit(caller, exchange, streaming=False)

    async def admit_nobody(self, exchange: Exchange) -> None:
        """Count a request that failed to authenticate, or need not, against its address, as `admit` counts the others.

        Raises:
            ResourceExhaustedError: The address has made all its requests.
        """
        claims = self._address_claims(exchange.address, streaming=False)
        await self._reserve(claims, exchange, f"{exchange.request_id}:a")

    async def admit_stream(self, caller: Caller, exchange: Exchange) -> "StreamSlots":
        """Admit a request whose answer is streamed. The slots it takes are given back by `StreamSlots.release`."""
        return StreamSlots(self._limiter, await self._admit(caller, exchange, streaming=True))

    async def open_stream(self, caller: Caller, exchange: Exchange) -> "StreamSlots":
        """Take the slots of a stream for a request that was admitted as an ordinary one."""
        address = _slots(self._address_claims(exchange.address, streaming=True))
        of_caller = _slots(caller_claims(caller, streaming=True))
        return StreamSlots(self._limiter, await self._reserve_both(address, of_caller, exchange, kind=":s"))

    async def _admit(self, caller: Caller, exchange: Exchange, *, streaming: bool) -> list[Grant]:
        address = self._address_claims(exchange.address, streaming=streaming)
        return await self._reserve_both(address, caller_claims(caller, streaming=streaming), exchange, kind="")

    async def _reserve_both(
        self, of_address: Sequence[Claim], of_caller: Sequence[Claim], exchange: Exchange, *, kind: str
    ) -> list[Grant]:
        """Reserve from both in one round trip. They live apart in Redis Cluster, so it takes two reservations."""
        reservation_id = f"{exchange.request_id}{kind}"
        if not of_caller:
            return [await self._reserve(of_address, exchange, f"{reservation_id}:a")]
        asked = [
            asyncio.create_task(self._ask(of_address, f"{reservation_id}:a")),
            asyncio.create_task(self._ask(of_caller, reservation_id)),
        ]
        try:
            address, caller = await asyncio.gather(*asked)
        except BaseException:
            await uninterrupted(self._leave(asked))
            raise
        if isinstance(caller, Grant) and isinstance(address, Refusal):
            await uninterrupted(self._limiter.cancel(caller))
        if isinstance(address, Grant) and isinstance(caller, Refusal):
            # The address keeps the request it made, but has no stream open.
            await uninterrupted(self._limiter.settle(address, {}))
        return [self._granted(outcome, exchange) for outcome in (address, caller)]

    async def _leave(self, asked: Sequence[asyncio.Task[Outcome]]) -> None:
        """Open no stream with what was granted: the client left, or the other reservation failed."""
        for outcome in await asyncio.gather(*asked, return_exceptions=True):
            if isinstance(outcome, Grant):
                await self._limiter.settle(outcome, {})

    async def _reserve(self, claims: Sequence[Claim], exchange: Exchange, reservation_id: str) -> Grant:
        return self._granted(await self._ask(claims, reservation_id), exchange)

    async def _ask(self, claims: Sequence[Claim], reservation_id: str) -> Outcome:
        return await self._limiter.reserve(
            claims, reservation_id=reservation_id, hold_seconds=self._stream_hold_seconds
        )

    def _granted(self, outcome: Outcome, exchange: Exchange) -> Grant:
        """Report how the limits stand, and return the grant if it is one."""
        for state in outcome.states:
            name = state.name.removeprefix("key_")
            if name == "requests":
                exchange.add_limit(
                    name, limit=state.limit, remaining=state.remaining, reset_seconds=state.reset_seconds
                )
        if isinstance(outcome, Refusal):
            self._metrics.refusals.labels(outcome.refused).inc()
            raise refusal_error(outcome)
        return outcome

    def _address_claims(self, address: str, *, streaming: bool) -> list[Claim]:
        settings = self._settings
        claims: list[Claim] = [
            RateClaim("requests", f"limit:{{{address}}}:requests", limit=settings.requests_per_minute)
        ]
        if streaming:
            claims.append(SlotClaim("streams", f"limit:{{{address}}}:streams", limit=settings.concurrent_streams))
        return claims


class StreamSlots:
    """The slots that an open stream holds."""

    def __init__(self, limiter: Limiter, grants: Sequence[Grant]) -> None:
        self._limiter = limiter
        self._grants = grants

    @property
    def is_redis_away(self) -> bool:
        """Tell whether the slots were counted by this process alone."""
        return any(grant.origin == "local" for grant in self._grants)

    @property
    def renewal_seconds(self) -> float:
        """Return how often `renew` is due."""
        return self._grants[0].hold_seconds / _RENEWALS_PER_HOLD

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Hold the slots for as long as it takes, and give them back, even while being cancelled."""
        try:
            with Every(self.renewal_seconds, self.renew):
                yield
        finally:
            await uninterrupted(self.release())

    async def renew(self) -> None:
        """Hold the slots for another while."""
        await asyncio.gather(*(self._limiter.renew(grant) for grant in self._grants))

    async def release(self) -> None:
        """Give the slots back."""
        await asyncio.gather(*(self._limiter.settle(grant, {}) for grant in self._grants))


def caller_claims(caller: Caller, *, streaming: bool) -> list[Claim]:
    """Return what a request claims from the caller's plan and API key. All keys share the user's hash tag."""
    tag = f"limit:{{{caller.user_id}}}"
    claims = _claims(tag, "", caller.user_limits, streaming=streaming)
    if caller.api_key_id:
        claims += _claims(f"{tag}:{caller.api_key_id}", "key_", caller.key_limits, streaming=streaming)
    return claims


def _slots(claims: Sequence[Claim]) -> list[Claim]:
    return [claim for claim in claims if isinstance(claim, SlotClaim)]


def _claims(key: str, prefix: str, limits: Limits, *, streaming: bool) -> list[Claim]:
    claims: list[Claim] = []
    if limits.HasField("requests_per_minute"):
        claims.append(RateClaim(f"{prefix}requests", f"{key}:requests", limit=limits.requests_per_minute))
    if streaming and limits.HasField("concurrent_streams"):
        claims.append(SlotClaim(f"{prefix}streams", f"{key}:streams", limit=limits.concurrent_streams))
    return claims


def refusal_error(refusal: Refusal) -> ResourceExhaustedError:
    """Return the error that tells the client which limit it met, in OpenAI's words where there are such."""
    state = next(state for state in refusal.states if state.name == refusal.refused)
    wait = refusal.retry_after_seconds
    if refusal.refused.endswith("streams"):
        message = f"Too many streams are open at once: Limit {state.limit}. Close one, or try again in a moment."
        wait = 1.0
    else:
        seconds = f"{math.ceil((wait or 0) * 1000) / 1000:g}"
        message = (
            f"Rate limit reached on requests per min (RPM): Limit {state.limit}, Used {state.limit - state.remaining}, "
            f"Requested 1. Please try again in {seconds}s."
        )
    return ResourceExhaustedError(message, retry_after_seconds=wait, metadata={"limit": "requests"})
