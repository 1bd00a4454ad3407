"""Who is calling."""

import asyncio
import json
import time
from base64 import urlsafe_b64encode

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from redis.asyncio import Redis

from rostra_gateway.settings import CacheSettings
from rostra_kit.redis import RedisSettings
from rostra_kit.revocation import CHANNEL, Revocation
from rostra_kit.testing.redis_server import RedisServer, installed_redis, running_redis
from services.gateway.tests.conftest import (
    Gateway,
    Services,
    ServiceServer,
    StartGateway,
    bearer,
    connect,
    running_gateway,
    until_revocations_arrive,
)
from services.gateway.tests.fake_user import KID


async def ask(client: httpx.AsyncClient, authorization: str | None = None) -> httpx.Response:
    headers = {} if authorization is None else {"authorization": authorization}
    return await client.get("/v1/me", headers=headers)


def unsigned_token(algorithm: str) -> str:
    def part(value: dict) -> str:
        return urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    claims = {"iss": "rostra", "aud": "rostra", "sub": "u", "sid": "s", "iat": 1, "exp": 2_000_000_000}
    return f"{part({'alg': algorithm, 'kid': '2026-11'})}.{part(claims)}."


async def test_missing_credential_is_401_with_a_challenge(anyone: httpx.AsyncClient) -> None:
    answer = await ask(anyone)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["error"] | {"message": ""} == {
        "message": "",
        "type": "authentication_error",
        "param": None,
        "code": "invalid_api_key",
    }


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Basic YTpi", "Bearer x", "Bearer a.b.c", "sk-rostra-x", "Bearer " + "a" * 5000]
    + [f"Bearer {unsigned_token(algorithm)}" for algorithm in ("none", "HS256", "EdDSA")],
)
async def test_malformed_credential_is_401(anyone: httpx.AsyncClient, authorization: str) -> None:
    answer = await ask(anyone, authorization)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "invalid_api_key"


async def test_unknown_key_is_401_and_not_repeated(anyone: httpx.AsyncClient) -> None:
    answer = await ask(anyone, "Bearer sk-rostra-unknown")
    assert answer.status_code == 401
    assert "unknown" not in answer.text


async def test_known_key_calls_as_its_user(client: httpx.AsyncClient) -> None:
    assert (await ask(client, client.headers["authorization"])).json()["email"] == "alice@example.com"


async def test_scheme_in_lower_case_is_understood(anyone: httpx.AsyncClient, alice: str) -> None:
    assert (await ask(anyone, f"bearer {alice}")).status_code == 200


async def test_access_token_calls_as_its_user(anyone: httpx.AsyncClient, services: Services) -> None:
    token = services.user.access_token(services.user.add_session(services.user.add_user("bob@example.com")))
    assert (await ask(anyone, f"Bearer {token}")).json()["email"] == "bob@example.com"


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": 1},
        {"iss": "somebody"},
        {"aud": "somebody"},
        {"sid": None},
        {"exp": None},
        {"sub": None},
        {"kid": "unknown"},
        {"kid": None},
        {"key": Ed25519PrivateKey.generate()},
    ],
    ids=lambda changes: " ".join(f"{name}={value}" for name, value in changes.items() if name != "key") or "key",
)
async def test_access_token_that_is_not_ours_is_401(
    anyone: httpx.AsyncClient, services: Services, changes: dict
) -> None:
    session = services.user.add_session(services.user.add_user())
    answer = await ask(anyone, f"Bearer {services.user.access_token(session, **changes)}")
    assert answer.status_code == 401
    assert ("expired" in answer.json()["error"]["message"]) == (changes == {"exp": 1})


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
async def test_access_token_of_another_algorithm_is_401(
    anyone: httpx.AsyncClient, services: Services, algorithm: str
) -> None:
    session = services.user.add_session(services.user.add_user())
    good = services.user.access_token(session)
    claims = jwt.decode(good, options={"verify_signature": False})
    # The public key is known to all: as the secret of an HMAC it must prove nothing.
    secret = services.user.signing_key.public_key().public_bytes_raw() if algorithm == "HS256" else None
    forged = jwt.encode(claims, secret, algorithm=algorithm, headers={"kid": KID})
    assert (await ask(anyone, f"Bearer {good}")).status_code == 200
    assert (await ask(anyone, f"Bearer {forged}")).status_code == 401


async def test_token_of_a_deleted_user_is_401(anyone: httpx.AsyncClient, services: Services) -> None:
    user_id = services.user.add_user()
    token = services.user.access_token(services.user.add_session(user_id))
    del services.user.users[user_id]
    assert (await ask(anyone, f"Bearer {token}")).status_code == 401


async def test_token_of_an_ended_session_is_401(anyone: httpx.AsyncClient, services: Services) -> None:
    session = services.user.add_session(services.user.add_user())
    token = services.user.access_token(session)
    del services.user.sessions[session]
    assert (await ask(anyone, f"Bearer {token}")).status_code == 401


async def test_unknown_kids_ask_for_the_keys_once_a_second_at_most(
    anyone: httpx.AsyncClient, services: Services
) -> None:
    session = services.user.add_session(services.user.add_user())
    for number in range(20):
        await ask(anyone, f"Bearer {services.user.access_token(session, kid=f'kid-{number}')}")
    assert services.user.signing_key_listings <= 3


async def test_unknown_kids_at_once_share_one_question_for_the_keys(
    anyone: httpx.AsyncClient, services: Services
) -> None:
    session = services.user.add_session(services.user.add_user())
    tokens = [services.user.access_token(session, kid=f"kid-{number}") for number in range(20)]
    answers = await asyncio.gather(*(ask(anyone, f"Bearer {token}") for token in tokens))
    assert {answer.status_code for answer in answers} == {401}
    assert services.user.signing_key_listings <= 2


async def test_known_caller_is_not_looked_up_again(client: httpx.AsyncClient, services: Services) -> None:
    for _ in range(5):
        assert (await client.get("/v1/models")).status_code == 200
    assert services.user.lookups == 1


async def test_expired_key_ends_though_it_is_remembered(anyone: httpx.AsyncClient, services: Services) -> None:
    key = services.user.add_key(services.user.add_user(), ends=time.time() + 1)
    assert (await ask(anyone, f"Bearer {key}")).status_code == 200
    services.user.keys.clear()
    await asyncio.wait_for(until_refused(anyone, bearer(key)), 3)


@pytest.mark.parametrize("by_session", [False, True])
async def test_limits_that_end_are_looked_up_again_then(
    anyone: httpx.AsyncClient, services: Services, by_session: bool
) -> None:
    user_id = services.user.add_user()
    user = services.user.users[user_id]
    ends = time.time() + 1
    user.limits.requests_per_minute = 500
    user.limit_override.end_time.FromMicroseconds(round(ends * 1_000_000))
    if by_session:
        credential = bearer(services.user.access_token(services.user.add_session(user_id)))
    else:
        credential = bearer(services.user.add_key(user_id))

    async def limit() -> str:
        return (await anyone.get("/v1/models", headers=credential)).headers["x-ratelimit-limit-requests"]

    assert await limit() == "500"
    user.limits.requests_per_minute = 300
    user.ClearField("limit_override")
    async with asyncio.timeout(10):
        while await limit() != "300":  # noqa: ASYNC110 - it ends by the clock, which tells nobody
            await asyncio.sleep(0.02)
    assert ends <= time.time()


@pytest.mark.parametrize("kind", ["key", "user"])
async def test_revocation_arrives_within_a_second(
    client: httpx.AsyncClient, services: Services, redis: Redis, alice: str, kind: str
) -> None:
    assert (await client.get("/v1/models")).status_code == 200
    user_id, key = next(iter(services.user.keys.values()))
    services.user.keys.clear()
    revocation = Revocation("key", key.id) if kind == "key" else Revocation("user", user_id)
    assert await redis.publish(CHANNEL, revocation.message()) == 1
    await asyncio.wait_for(until_refused(client), 1)


async def test_revocation_of_a_session_leaves_others(
    anyone: httpx.AsyncClient, services: Services, redis: Redis
) -> None:
    user = services.user.add_user()
    sessions = [services.user.add_session(user) for _ in range(2)]
    ended, other = (bearer(services.user.access_token(session)) for session in sessions)
    assert {(await anyone.get("/v1/models", headers=headers)).status_code for headers in (ended, other)} == {200}
    del services.user.sessions[sessions[0]]
    await redis.publish(CHANNEL, Revocation("session", sessions[0]).message())
    await asyncio.wait_for(until_refused(anyone, ended), 1)
    lookups = services.user.lookups
    assert (await anyone.get("/v1/models", headers=other)).status_code == 200
    assert services.user.lookups == lookups


async def test_caller_is_remembered_for_a_second_while_redis_is_away(
    start_gateway: StartGateway, services: Services, alice: str
) -> None:
    gateway = await start_gateway(
        redis=RedisSettings(url="redis://127.0.0.1:1/0"), cache=CacheSettings(blind_caller_seconds=0.3)
    )
    async with connect(gateway, alice) as client:
        assert (await client.get("/v1/models")).status_code == 200
        assert (await client.get("/v1/models")).status_code == 200
        assert services.user.lookups == 1
        services.user.keys.clear()
        await asyncio.wait_for(until_refused(client), 2)


@pytest.mark.parametrize("kind", ["fakeredis", "real"])
async def test_revoked_key_is_refused_within_a_second_while_redis_hangs(
    kind: str, service_server: ServiceServer, services: Services, alice: str
) -> None:
    executable = installed_redis() if kind == "real" else None
    if kind == "real" and executable is None:
        pytest.skip("no Redis server is installed")
    with running_redis(executable) as server:
        # As impatient with its limits as in production.
        own = RedisSettings.model_validate({"url": server.url})
        async with running_gateway(service_server, server, redis=own) as gateway, connect(gateway, alice) as client:
            await until_revocations_arrive(gateway)
            await hang_and_come_back(server, gateway, client, services)


async def hang_and_come_back(
    server: RedisServer, gateway: Gateway, client: httpx.AsyncClient, services: Services
) -> None:
    assert (await client.get("/v1/models")).status_code == 200
    # Long enough that silence alone, without pings, would have ended the listening.
    await asyncio.sleep(1.2)
    revocations = gateway.app.state.edge.authenticator._revocations
    assert revocations.listening
    assert (await client.get("/v1/models")).status_code == 200
    assert services.user.lookups == 1
    keys = dict(services.user.keys)
    with server.frozen():
        services.user.keys.clear()
        await asyncio.wait_for(until_refused(client), 1.5)
        assert not revocations.listening
    await until_revocations_arrive(gateway)
    services.user.keys.update(keys)
    for _ in range(2):
        assert (await client.get("/v1/models")).status_code == 200


async def test_user_service_away_is_503(start_gateway: StartGateway, alice: str) -> None:
    gateway = await start_gateway(user={"target": "127.0.0.1:1"})
    async with connect(gateway, alice) as client:
        answer = await client.get("/v1/models")
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1


async def test_lookups_are_counted_by_source(client: httpx.AsyncClient, gateway: Gateway) -> None:
    for _ in range(3):
        await client.get("/v1/models")
    counted = {
        source: gateway.metric("rostra_gateway_caller_lookups_total", source=source) for source in ("user", "cache")
    }
    assert counted == {"user": 1, "cache": 2}


async def until_refused(client: httpx.AsyncClient, headers: dict[str, str] | None = None) -> None:
    answer = None
    while answer is None or answer.status_code == 200:
        answer = await client.get("/v1/models", headers=headers)
    assert answer.status_code == 401
