"""Clients of background responses that bear with processes that come and go."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from random import Random
from typing import Any
from uuid import UUID

import httpx

from rostra_stack.stack import Stack
from support.follower import ENDED, Follower
from support.ledger import Ledger
from support.stack import Account, register

_RETRY_SECONDS = 0.1
_TIMEOUT_SECONDS = 30


class Clients:
    """Somebody's clients of all gateways; each call is repeated through another one until it is answered.

    Attributes:
        account: Who it is.
        gateways: A client of each.
        refused_creations: How many creations were not answered: each may have been stored all the same.
    """

    def __init__(self, account: Account, gateways: list[httpx.AsyncClient], chance: Random) -> None:
        self.account = account
        self.gateways = gateways
        self.refused_creations = 0
        self._chance = chance

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        stack: Stack,
        *,
        chance: Random | None = None,
        timeout_seconds: float = _TIMEOUT_SECONDS,
        ledger: Ledger | None = None,
    ) -> AsyncIterator["Clients"]:
        """Register somebody whom no limit stops; `ledger` is where, if not in the stack's own database."""
        (ledger or Ledger(stack.data)).lift_limits()
        account = await asyncio.to_thread(register, stack.gateway_urls[0])
        limits = httpx.Limits(max_connections=None)
        async with AsyncExitStack() as exits:
            clients = [
                httpx.AsyncClient(base_url=url, headers=account.key, timeout=timeout_seconds, limits=limits)
                for url in stack.gateway_urls
            ]
            yield cls(account, [await exits.enter_async_context(client) for client in clients], chance or Random(0))

    def any(self, chance: Random | None = None) -> httpx.AsyncClient:
        """Return one of them."""
        return (chance or self._chance).choice(self.gateways)

    async def create(self, model: str, *, chance: Random | None = None) -> str:
        """Queue a response, asking again under the same key until a reply says that it is stored; return its id."""
        headers = {"idempotency-key": str(UUID(int=(chance or self._chance).getrandbits(128)))}
        body = {"model": model, "input": "Count.", "background": True}
        while True:
            answer = await self._ask("POST", "/v1/responses", chance, json=body, headers=headers)
            if answer is not None:
                return str(answer["id"])
            self.refused_creations += 1
            await asyncio.sleep(_RETRY_SECONDS)

    async def get(self, response_id: str, *, chance: Random | None = None) -> dict[str, Any]:
        """Return a response as it is now."""
        while (found := await self._ask("GET", f"/v1/responses/{response_id}", chance)) is None:  # noqa: ASYNC110
            await asyncio.sleep(_RETRY_SECONDS)
        return found

    async def ended(self, response_id: str, *, within_seconds: float = 30) -> dict[str, Any]:
        """Return a response once it has ended."""
        async with asyncio.timeout(within_seconds):
            while (found := await self.get(response_id))["status"] not in ENDED:  # noqa: ASYNC110 - a poll
                await asyncio.sleep(_RETRY_SECONDS)
        return found

    def follow(self, response_id: str) -> "asyncio.Task[Follower]":
        """Follow a response from its first event, through any gateway."""
        return asyncio.create_task(Follower(response_id, next_client=self.any).run())

    async def _ask(self, method: str, path: str, chance: Random | None, **request: Any) -> dict[str, Any] | None:
        try:
            answer = await self.any(chance).request(method, path, **request)
        except httpx.TransportError:
            return None
        if answer.status_code == 200:
            return dict(answer.json())
        assert answer.status_code >= 500 or answer.status_code == 409, answer.text
        return None
