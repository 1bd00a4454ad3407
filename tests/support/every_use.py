"""Uses everything that Rostra measures, so that each of its series says something."""

import asyncio
import time
from collections.abc import Sequence

import httpx

from support.stack import Account, create_key, register

# The scripted provider's models, good and bad.
GOOD, FAILS, BREAKS = "ok-20-10", "status-503", "close-mid-stream"
MODELS = (GOOD, FAILS, BREAKS)
# Settings of a stack that is used so for longer: rounds log in more often than anybody may.
LOG_INS_UNLIMITED = {
    "ROSTRA_GATEWAY_ADDRESS_LIMITS__SIGN_INS_PER_MINUTE": "1000000",
    "ROSTRA_GATEWAY_ADDRESS_LIMITS__LOG_INS_PER_ACCOUNT": "1000000",
}

_OVER_THE_LIMIT = 6
# What is counted for the first time cannot be told from what was always there: it takes a second one.
_LEAST_ROUNDS = 2


async def use_everything(gateway_url: str, *, seconds: float, models: Sequence[str] = MODELS) -> None:
    """Go round through all of it, twice at least, until the time is over."""
    account = await asyncio.to_thread(register, gateway_url)
    limited = await asyncio.to_thread(create_key, gateway_url, account, requests_per_minute=1)
    async with httpx.AsyncClient(base_url=gateway_url, headers=account.key, timeout=30) as http:
        rounds, began = 0, time.monotonic()
        while rounds < _LEAST_ROUNDS or time.monotonic() - began < seconds:
            await asyncio.gather(_models(http, models), _conversation(http), _background(http))
            await asyncio.gather(_session(http, account), _refusals(http, limited))
            rounds += 1


async def _models(http: httpx.AsyncClient, models: Sequence[str]) -> None:
    for model in models:
        body = {"model": model, "messages": [{"role": "user", "content": "Count."}]}
        await http.post("/v1/chat/completions", json=body | {"store": True})
        await http.post("/v1/chat/completions", json=body | {"stream": True})
    keyed = {"model": GOOD, "messages": [{"role": "user", "content": "Once."}]}
    for _ in range(2):
        await http.post("/v1/chat/completions", json=keyed, headers={"idempotency-key": "same"})


async def _conversation(http: httpx.AsyncClient) -> None:
    conversation = (await http.post("/v1/conversations", json={})).json()["id"]
    path = f"/v1/conversations/{conversation}"
    for stream in (False, True):
        await http.post(
            "/v1/responses", json={"model": GOOD, "input": "Count.", "conversation": conversation, "stream": stream}
        )
    [answer] = (await http.get(f"{path}/items", params={"limit": 1})).json()["data"]
    await http.post(f"{path}/items/{answer['id']}/feedback", json={"rating": "positive"})
    await http.post(f"{path}/shares", json={})
    await http.get("/v1/conversations/search", params={"query": "word"})
    await http.get("/v1/conversations/conv_unknown")


async def _background(http: httpx.AsyncClient) -> None:
    body = {"model": GOOD, "input": "Count.", "background": True}
    response = (await http.post("/v1/responses", json=body)).json()["id"]
    await http.get(f"/v1/responses/{response}", params={"stream": "true"})


async def _session(http: httpx.AsyncClient, account: Account) -> None:
    login = {"email": account.email, "password": account.password}
    session = (await http.post("/v1/auth/login", json=login)).json()
    await http.post("/v1/auth/login", json=login | {"password": "wrong password"})
    refreshed = (await http.post("/v1/auth/refresh", json={"refresh_token": session["refresh_token"]})).json()
    bearer = {"authorization": f"Bearer {refreshed['access_token']}"}
    await http.post("/v1/auth/logout", headers=bearer)


async def _refusals(http: httpx.AsyncClient, limited: str) -> None:
    for _ in range(_OVER_THE_LIMIT):
        await http.get("/v1/models", headers={"authorization": f"Bearer {limited}"})
