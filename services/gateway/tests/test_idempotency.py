"""Requests with an `Idempotency-Key`: sent again, they have the answer that they had before."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx
import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from rostra.common.v1.caller_pb2 import Limits
from rostra_gateway.settings import IdempotencySettings
from rostra_kit.ports import free_port
from rostra_kit.redis import RedisSettings
from services.gateway.tests.conftest import Gateway, Services, StartGateway, bearer, connect

CHAT = "/v1/chat/completions"
RESPONSES = "/v1/responses"
CONVERSATIONS = "/v1/conversations"
KEYS = "/v1/api_keys"
REGISTER = "/v1/auth/register"
REPLAYED = "idempotent-replayed"
KEY = {"idempotency-key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}
ACCOUNT = {"email": "carol@example.com", "password": "correct horse"}


def chat(model: str = "echo") -> dict:
    return {"model": model, "messages": [{"role": "user", "content": "x"}]}


@pytest.fixture
async def both(start_gateway: StartGateway, alice: str) -> AsyncIterator[list[httpx.AsyncClient]]:
    """A client of each of two gateways."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(connect(await start_gateway(), alice)) for _ in range(2)]


def code(answer: httpx.Response) -> str:
    return answer.json()["error"]["code"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, chat()),
        (RESPONSES, {"model": "echo", "input": "x"}),
        (RESPONSES, {"model": "echo", "input": "x", "background": True}),
        (CONVERSATIONS, {"metadata": {"a": "b"}}),
        (CONVERSATIONS, None),
    ],
)
async def test_same_request_has_the_same_answer_through_another_gateway(
    both: list[httpx.AsyncClient], path: str, body: dict | None
) -> None:
    first = await both[0].post(path, json=body, headers=KEY)
    assert first.status_code == 200
    assert REPLAYED not in first.headers
    for client in both:
        again = await client.post(path, json=body, headers=KEY)
        assert (again.status_code, again.content) == (200, first.content)
        assert again.headers[REPLAYED] == "true"
        assert again.headers["content-type"] == first.headers["content-type"]
    other = await both[0].post(path, json=body, headers={"idempotency-key": "another"})
    assert other.json()["id"] != first.json()["id"]


async def test_items_are_appended_once(client: httpx.AsyncClient) -> None:
    path = f"{CONVERSATIONS}/{(await client.post(CONVERSATIONS)).json()['id']}/items"
    items = {"items": [{"role": "user", "content": "x"}]}
    answers = [await client.post(path, json=items, headers=KEY) for _ in range(3)]
    assert len({answer.content for answer in answers}) == 1
    assert len((await client.get(path)).json()["data"]) == 1


async def test_without_a_key_every_request_runs(client: httpx.AsyncClient, services: Services, redis: Redis) -> None:
    for _ in range(2):
        await client.post(CHAT, json=chat())
    assert len(services.chat.bodies) == 2
    assert not [key async for key in redis.scan_iter("idem:*")]


@pytest.mark.parametrize("stream", [False, True])
async def test_twenty_at_once_over_two_gateways_run_once(
    both: list[httpx.AsyncClient], services: Services, stream: bool
) -> None:
    body = chat("waits") | {"stream": stream}
    asking = [asyncio.create_task(both[number % 2].post(CHAT, json=body, headers=KEY)) for number in range(20)]
    await asyncio.wait_for(services.chat.started.wait(), 2)
    await asyncio.sleep(0.2)  # for the others to arrive; none of them may run
    services.chat.proceed.set()
    answers = await asyncio.gather(*asking)
    assert len(services.chat.bodies) == 1
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert Counter(REPLAYED in answer.headers for answer in answers) == {True: 19, False: 1}


@pytest.mark.parametrize(
    ("path", "body"),
    [(CHAT, chat("other")), (CHAT, chat() | {"n": 1}), (RESPONSES, chat()), (CONVERSATIONS, chat()), (KEYS, None)],
)
async def test_key_of_another_request_is_422(
    both: list[httpx.AsyncClient], services: Services, path: str, body: dict
) -> None:
    await both[0].post(CHAT, json=chat(), headers=KEY)
    answer = await both[1].post(path, json=body, headers=KEY)
    assert (answer.status_code, code(answer)) == (422, "idempotency_key_reused")
    assert answer.json()["error"]["param"] == "Idempotency-Key"
    assert len(services.chat.bodies) == 1


async def test_key_of_another_request_is_422_while_that_runs(client: httpx.AsyncClient, services: Services) -> None:
    first = asyncio.create_task(client.post(CHAT, json=chat("waits"), headers=KEY))
    await asyncio.wait_for(services.chat.started.wait(), 2)
    answer = await client.post(CHAT, json=chat(), headers=KEY)
    assert (answer.status_code, code(answer)) == (422, "idempotency_key_reused")
    services.chat.proceed.set()
    assert (await first).status_code == 200


async def test_keys_of_two_users_are_two_keys(client: httpx.AsyncClient, gateway: Gateway, services: Services) -> None:
    mine = await client.post(CONVERSATIONS, headers=KEY)
    user = services.user.add_user("bob@example.com")
    async with connect(gateway, services.user.add_key(user)) as bob:
        theirs = await bob.post(CONVERSATIONS, headers=KEY)
    assert theirs.status_code == 200
    assert theirs.json()["id"] != mine.json()["id"]


async def test_keys_of_one_user_are_the_same_by_every_credential(client: httpx.AsyncClient, services: Services) -> None:
    mine = await client.post(CONVERSATIONS, headers=KEY)
    (user,) = services.user.users
    again = await client.post(CONVERSATIONS, headers=KEY | bearer(services.user.add_key(user)))
    assert again.content == mine.content


async def test_stranger_learns_nothing_of_a_key(client: httpx.AsyncClient) -> None:
    await client.post(CONVERSATIONS, headers=KEY)
    answer = await client.post(CONVERSATIONS, headers=KEY | bearer("sk-rostra-unknown"))
    assert (answer.status_code, code(answer)) == (401, "invalid_api_key")


@pytest.mark.parametrize("key", ["", "a" * 256, "caf\xe9", "a\tb"])
async def test_odd_key_is_400(client: httpx.AsyncClient, services: Services, key: str) -> None:
    answer = await client.post(CHAT, json=chat(), headers={"idempotency-key": key.encode("latin-1")})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "Idempotency-Key")
    assert services.chat.bodies == []


async def test_two_keys_are_400(client: httpx.AsyncClient) -> None:
    answer = await client.post(CHAT, json=chat(), headers=[("idempotency-key", "a"), ("idempotency-key", "b")])
    assert answer.status_code == 400


@pytest.mark.parametrize("key", ["a", "~" * 255, "two words"])
async def test_key_may_be_any_printable_text(client: httpx.AsyncClient, key: str) -> None:
    for replayed in (None, "true"):
        answer = await client.post(CHAT, json=chat(), headers={"idempotency-key": key})
        assert (answer.status_code, answer.headers.get(REPLAYED)) == (200, replayed)


@pytest.mark.parametrize(
    ("model", "status", "runs"), [("unknown", 404, 1), ("away", 503, 2), ("limited", 429, 2), ("bug", 500, 2)]
)
async def test_failure_that_may_pass_is_not_kept(
    client: httpx.AsyncClient, services: Services, model: str, status: int, runs: int
) -> None:
    answers = [await client.post(CHAT, json=chat(model), headers=KEY) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [status, status]
    assert answers[0].json() == answers[1].json()
    assert len(services.chat.bodies) == runs
    assert (REPLAYED in answers[1].headers) == (runs == 1)


async def test_wrong_request_has_its_answer_again(client: httpx.AsyncClient) -> None:
    answers = [await client.post(CHAT, json={"messages": []}, headers=KEY) for _ in range(2)]
    assert {answer.status_code for answer in answers} == {400}
    assert answers[0].content == answers[1].content
    assert answers[1].headers[REPLAYED] == "true"


async def test_one_of_those_who_wait_runs_when_the_first_fails(
    both: list[httpx.AsyncClient], services: Services
) -> None:
    asking = [asyncio.create_task(client.post(CHAT, json=chat("fails later"), headers=KEY)) for client in both]
    await asyncio.wait_for(services.chat.started.wait(), 2)
    services.chat.proceed.set()
    assert {answer.status_code for answer in await asyncio.gather(*asking)} == {503}
    assert len(services.chat.bodies) == 2


async def test_waiting_ends_with_409_and_a_time(start_gateway: StartGateway, alice: str, services: Services) -> None:
    gateway = await start_gateway(idempotency=IdempotencySettings(wait_seconds=0.1))
    async with connect(gateway, alice) as client:
        first = asyncio.create_task(client.post(CHAT, json=chat("waits"), headers=KEY))
        await asyncio.wait_for(services.chat.started.wait(), 2)
        answer = await client.post(CHAT, json=chat("waits"), headers=KEY)
        assert (answer.status_code, code(answer)) == (409, "idempotency_key_in_use")
        assert answer.headers["retry-after"] == "5"
        services.chat.proceed.set()
        assert (await first).status_code == 200


async def test_client_that_left_finds_its_answer(gateway: Gateway, alice: str, services: Services) -> None:
    async with connect(gateway, alice) as client:
        leaving = asyncio.create_task(client.post(CHAT, json=chat("waits"), headers=KEY))
        await asyncio.wait_for(services.chat.started.wait(), 2)
        leaving.cancel()
        await asyncio.wait({leaving})
    async with connect(gateway, alice) as client:
        again = asyncio.create_task(client.post(CHAT, json=chat("waits"), headers=KEY))
        services.chat.proceed.set()
        assert (await again).headers[REPLAYED] == "true"
    assert len(services.chat.bodies) == 1


async def test_key_of_a_long_request_is_held(start_gateway: StartGateway, alice: str, services: Services) -> None:
    settings = IdempotencySettings(lease_seconds=0.3, wait_seconds=1.0)
    async with connect(await start_gateway(idempotency=settings), alice) as client:
        first = asyncio.create_task(client.post(CHAT, json=chat("waits"), headers=KEY))
        await asyncio.wait_for(services.chat.started.wait(), 2)
        assert (await client.post(CHAT, json=chat("waits"), headers=KEY)).status_code == 409
        services.chat.proceed.set()
        assert (await first).status_code == 200
    assert len(services.chat.bodies) == 1


async def test_key_of_a_gateway_that_died_is_free_after_its_lease(
    client: httpx.AsyncClient, services: Services, redis: Redis
) -> None:
    asking = asyncio.create_task(client.post(CHAT, json=chat("waits"), headers=KEY))
    await asyncio.wait_for(services.chat.started.wait(), 2)
    (record,) = [key async for key in redis.scan_iter("idem:*")]
    # What is left of it then: its mark, which nobody renews.
    mark = await redis.hgetall(record)
    assert 20_000 < await redis.pttl(record) <= 30_000
    services.chat.proceed.set()
    await asking
    await redis.delete(record)
    await redis.hset(record, mapping=mark)
    await redis.pexpire(record, 300)
    answer = await client.post(CHAT, json=chat("waits"), headers=KEY)
    assert (answer.status_code, len(services.chat.bodies)) == (200, 2)


async def test_answer_of_a_gateway_that_slept_too_long_does_not_replace_the_newer_one(
    client: httpx.AsyncClient, services: Services, redis: Redis
) -> None:
    sleeper = asyncio.create_task(client.post(CHAT, json=chat("waits"), headers=KEY))
    await asyncio.wait_for(services.chat.started.wait(), 2)
    (record,) = [key async for key in redis.scan_iter("idem:*")]
    await redis.delete(record)  # its lease is over
    services.chat.started.clear()
    newer = asyncio.create_task(client.post(CHAT, json=chat("waits"), headers=KEY))
    await asyncio.wait_for(services.chat.started.wait(), 2)
    services.chat.proceed.set()
    answers = await asyncio.gather(sleeper, newer)
    assert answers[0].content != answers[1].content
    again = await client.post(CHAT, json=chat("waits"), headers=KEY)
    assert again.content == answers[1].content


async def test_answer_is_kept_for_a_day_and_no_longer(
    start_gateway: StartGateway, alice: str, redis: Redis, client: httpx.AsyncClient
) -> None:
    await client.post(CONVERSATIONS, headers=KEY)
    (record,) = [key async for key in redis.scan_iter("idem:*")]
    assert 86_390_000 < await redis.pttl(record) <= 86_400_000
    async with connect(await start_gateway(idempotency=IdempotencySettings(keep_seconds=0.2)), alice) as brief:
        key = {"idempotency-key": "brief"}
        first = await brief.post(CONVERSATIONS, headers=key)
        assert (await brief.post(CONVERSATIONS, headers=key)).content == first.content
        async with asyncio.timeout(5):
            while len([key async for key in redis.scan_iter("idem:*")]) > 1:  # noqa: ASYNC110 - Redis forgets by itself
                await asyncio.sleep(0.05)
        assert (await brief.post(CONVERSATIONS, headers=key)).content != first.content


async def test_answer_that_is_too_large_is_not_kept_but_not_made_twice(
    start_gateway: StartGateway, alice: str, services: Services, redis: Redis
) -> None:
    async with connect(await start_gateway(idempotency=IdempotencySettings(max_answer_bytes=10)), alice) as client:
        assert (await client.post(CHAT, json=chat(), headers=KEY)).status_code == 200
        answer = await client.post(CHAT, json=chat(), headers=KEY)
    assert (answer.status_code, code(answer)) == (409, "idempotency_answer_not_kept")
    assert len(services.chat.bodies) == 1
    (record,) = [key async for key in redis.scan_iter("idem:*")]
    assert await redis.hget(record, "answer") == b""


@pytest.mark.parametrize("path", [CHAT, REGISTER, KEYS])
async def test_without_redis_a_request_with_a_key_is_503(
    start_gateway: StartGateway, alice: str, services: Services, path: str
) -> None:
    away = RedisSettings(url=SecretStr(f"redis://127.0.0.1:{free_port()}/0"), connect_timeout_seconds=0.2)
    async with connect(await start_gateway(redis=away), alice) as client:
        answer = await client.post(path, json=chat(), headers=KEY)
        assert (answer.status_code, code(answer)) == (503, "service_unavailable")
        assert answer.headers["retry-after"] == "1"
        assert services.chat.bodies == []
        assert (await client.post(CHAT, json=chat())).status_code == 200


async def test_api_key_is_created_once_and_its_secret_is_not_in_redis(
    both: list[httpx.AsyncClient], redis: Redis
) -> None:
    answers = await asyncio.gather(*(both[number % 2].post(KEYS, headers=KEY) for number in range(6)))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 5}
    (created,) = [answer.json() for answer in answers if answer.status_code == 201]
    assert {code(answer) for answer in answers if answer.status_code == 409} == {"idempotency_answer_not_kept"}
    assert len((await both[0].get(KEYS)).json()["data"]) == 2
    assert created["value"].encode() not in await everything(redis)


async def test_account_is_registered_once_and_redis_has_neither_tokens_nor_password(
    gateway: Gateway, redis: Redis, services: Services
) -> None:
    async with connect(gateway) as client:
        weak = await client.post(REGISTER, json=ACCOUNT | {"password": "short"}, headers=KEY)
        assert weak.status_code == 422
        created = await client.post(REGISTER, json=ACCOUNT, headers=KEY)
        assert created.status_code == 201
        again = await client.post(REGISTER, json=ACCOUNT, headers=KEY)
        assert (again.status_code, code(again)) == (409, "idempotency_answer_not_kept")
    kept = await everything(redis)
    for secret in (created.json()["refresh_token"], created.json()["access_token"], ACCOUNT["password"]):
        assert secret.encode() not in kept
    (record,) = [key async for key in redis.scan_iter("idem:*")]
    first = await redis.hget(record, "fingerprint")
    await redis.delete(record)
    async with connect(gateway) as client:
        other = {"email": "dave@example.com", "password": "another password"}
        assert (await client.post(REGISTER, json=other, headers=KEY)).status_code == 201
    # Not even a digest from which a password could be guessed.
    assert await redis.hget(record, "fingerprint") == first


async def test_replays_and_refusals_are_counted(gateway: Gateway, services: Services) -> None:
    key = services.user.add_key(services.user.add_user(limits=Limits(requests_per_minute=3)))
    async with connect(gateway, key) as client:
        first = await client.post(CONVERSATIONS, headers=KEY)
        assert first.headers["x-ratelimit-remaining-requests"] == "2"
        assert (await client.post(CONVERSATIONS, headers=KEY)).headers["x-ratelimit-remaining-requests"] == "1"
        assert (await client.post(CONVERSATIONS, json={"a": 1}, headers=KEY)).status_code == 422
        assert (await client.post(CONVERSATIONS, headers=KEY)).status_code == 429
    for outcome, count in (("claimed", 1), ("replayed", 1), ("reused", 1)):
        assert gateway.metric("rostra_gateway_keyed_requests_total", outcome=outcome) == count


async def test_those_who_wait_are_counted_before(gateway: Gateway, services: Services) -> None:
    key = services.user.add_key(services.user.add_user(limits=Limits(requests_per_minute=2)))
    async with connect(gateway, key) as client:
        asking = [asyncio.create_task(client.post(CHAT, json=chat("waits"), headers=KEY)) for _ in range(5)]
        async with asyncio.timeout(5):
            while sum(task.done() for task in asking) < 3:
                await asyncio.wait([task for task in asking if not task.done()], return_when=asyncio.FIRST_COMPLETED)
        services.chat.proceed.set()
        answers = await asyncio.gather(*asking)
    assert Counter(answer.status_code for answer in answers) == {429: 3, 200: 2}
    assert len(services.chat.bodies) == 1


async def test_document_describes_the_header(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    heeding = {
        path
        for path, operations in document["paths"].items()
        if "Idempotency-Key" in json.dumps(operations.get("post", {}).get("parameters", []))
    }
    assert heeding == {path for path, operations in document["paths"].items() if "post" in operations} - {
        "/v1/auth/login",
        "/v1/auth/refresh",
        "/v1/auth/logout",
    }


async def everything(redis: Redis) -> bytes:
    """Return all that is kept under keys."""
    return b"".join([value async for key in redis.scan_iter("idem:*") for value in await redis.hvals(key)])
