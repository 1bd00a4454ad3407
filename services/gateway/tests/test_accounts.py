"""Registration, sessions, the own account, API keys and usage."""

import re
import time

import httpx
import jwt
import pytest

from rostra.common.v1.caller_pb2 import Limits
from services.gateway.tests.conftest import Services, bearer
from services.gateway.tests.fake_user import ACCESS_TOKEN_SECONDS, KID

BOB = {"email": "bob@example.com", "password": "correct horse", "name": "Bob"}


async def register(client: httpx.AsyncClient) -> dict:
    answer = await client.post("/v1/auth/register", json=BOB)
    assert answer.status_code == 201
    return answer.json()


async def test_registration_answers_the_account_and_its_tokens(anyone: httpx.AsyncClient) -> None:
    answer = await anyone.post("/v1/auth/register", json=BOB)
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    document = answer.json()
    assert document.keys() == {"user", "access_token", "refresh_token", "token_type", "expires_in"}
    assert (document["token_type"], document["expires_in"]) == ("bearer", ACCESS_TOKEN_SECONDS)
    assert document["user"] | {"id": "", "created_at": 0} == {
        "id": "",
        "object": "user",
        "email": "bob@example.com",
        "name": "Bob",
        "role": "user",
        "plan": "default",
        "limits": {
            "requests_per_minute": None,
            "tokens_per_minute": None,
            "concurrent_streams": None,
            "budget_per_month": None,
        },
        "created_at": 0,
    }
    me = await anyone.get("/v1/me", headers=bearer(document["access_token"]))
    assert me.json() == document["user"]


async def test_second_registration_of_an_address_is_409(anyone: httpx.AsyncClient) -> None:
    await register(anyone)
    answer = await anyone.post("/v1/auth/register", json=BOB)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "email_taken")


async def test_weak_password_is_422(anyone: httpx.AsyncClient) -> None:
    answer = await anyone.post("/v1/auth/register", json=BOB | {"password": "short"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (422, "password")


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("register", {"email": "a@example.com"}, "password"),
        ("register", {"email": 1, "password": "x"}, "email"),
        ("register", BOB | {"email": "a\0@example.com"}, "email"),
        ("register", BOB | {"name": "a\nb"}, "name"),
        ("register", BOB | {"password": ["secret"]}, "password"),
        ("register", BOB | {"role": "admin"}, "role"),
        ("login", {"password": "x"}, "email"),
        ("login", {"email": "a" * 400, "password": "x"}, "email"),
        ("refresh", {}, "refresh_token"),
        ("refresh", {"refresh_token": 7}, "refresh_token"),
        ("refresh", {"refresh_token": "x" * 5000}, "refresh_token"),
        ("logout", {"refresh_token": {}}, "refresh_token"),
    ],
)
async def test_wrong_form_is_400_and_named(anyone: httpx.AsyncClient, path: str, body: dict, param: str) -> None:
    answer = await anyone.post(f"/v1/auth/{path}", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert "secret" not in answer.text


async def test_login_takes_the_right_password_only(anyone: httpx.AsyncClient) -> None:
    await register(anyone)
    right = await anyone.post("/v1/auth/login", json={"email": BOB["email"], "password": BOB["password"]})
    assert right.status_code == 200
    assert right.json().keys() == {"user", "access_token", "refresh_token", "token_type", "expires_in"}
    wrong = await anyone.post("/v1/auth/login", json={"email": BOB["email"], "password": "wrong"})
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (401, "invalid_credentials")


async def test_refresh_token_works_once(anyone: httpx.AsyncClient) -> None:
    token = (await register(anyone))["refresh_token"]
    answer = await anyone.post("/v1/auth/refresh", json={"refresh_token": token})
    assert answer.status_code == 200
    assert answer.json().keys() == {"access_token", "refresh_token", "token_type", "expires_in"}
    answer = await anyone.post("/v1/auth/refresh", json={"refresh_token": token})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_refresh_token")


@pytest.mark.parametrize("by", ["refresh_token", "access_token"])
async def test_logout_ends_the_session_and_can_be_repeated(
    anyone: httpx.AsyncClient, services: Services, by: str
) -> None:
    session = await register(anyone)
    for _ in range(2):
        if by == "refresh_token":
            answer = await anyone.post("/v1/auth/logout", json={"refresh_token": session["refresh_token"]})
        else:
            answer = await anyone.post("/v1/auth/logout", headers=bearer(session["access_token"]))
        assert (answer.status_code, answer.content) == (204, b"")
    assert services.user.sessions == {}


@pytest.mark.parametrize("credential", [None, "sk-rostra-x", "expired"])
async def test_logout_of_nobody_is_401(anyone: httpx.AsyncClient, services: Services, credential: str | None) -> None:
    session = services.user.add_session(services.user.add_user())
    if credential == "expired":
        credential = services.user.access_token(session, exp=1)
    answer = await anyone.post("/v1/auth/logout", headers=bearer(credential) if credential else {})
    assert answer.status_code == 401
    assert session in services.user.sessions


async def test_published_keys_verify_access_tokens(anyone: httpx.AsyncClient, services: Services) -> None:
    token = (await register(anyone))["access_token"]
    answer = await anyone.get("/.well-known/jwks.json")
    assert answer.headers["cache-control"] == "public, max-age=60"
    (key,) = answer.json()["keys"]
    assert key | {"x": ""} == {"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": KID, "x": ""}
    claims = jwt.decode(token, jwt.PyJWK(key), algorithms=["EdDSA"], audience="rostra", issuer="rostra")
    assert claims["sid"] in services.user.sessions
    for _ in range(5):
        await anyone.get("/.well-known/jwks.json")
    assert services.user.signing_key_listings == 1


async def test_account_is_changed(client: httpx.AsyncClient, services: Services) -> None:
    answer = await client.patch("/v1/me", json={"name": "Alice"})
    assert (answer.status_code, answer.json()["name"], answer.json()["email"]) == (200, "Alice", "alice@example.com")
    answer = await client.patch("/v1/me", json={"new_password": "correct horse", "current_password": "guess"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_credentials")
    answer = await client.patch("/v1/me", json={"plan": "unlimited"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "plan")
    assert (await client.patch("/v1/me", json={"name": None})).json()["name"] == "Alice"
    assert (await client.patch("/v1/me", json={"name": ""})).json()["name"] == ""


async def test_account_is_deleted(client: httpx.AsyncClient, services: Services) -> None:
    answer = await client.delete("/v1/me")
    assert (answer.status_code, answer.content) == (204, b"")
    assert services.user.users == {}


async def test_limits_of_an_account_are_told(anyone: httpx.AsyncClient, services: Services) -> None:
    limits = Limits(requests_per_minute=600, tokens_per_minute=10**12, budget_micros_per_month=2_500_000)
    key = services.user.add_key(services.user.add_user(limits=limits))
    answer = await anyone.get("/v1/me", headers=bearer(key))
    assert answer.json()["limits"] == {
        "requests_per_minute": 600,
        "tokens_per_minute": 10**12,
        "concurrent_streams": None,
        "budget_per_month": 2.5,
    }


async def test_api_key_is_created_used_listed_and_revoked(client: httpx.AsyncClient, gateway) -> None:
    ends = int(time.time()) + 3600
    form = {"name": "laptop", "expires_at": ends, "limits": {"requests_per_minute": 7, "budget_per_month": 2.5}}
    answer = await client.post("/v1/api_keys", json=form)
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    created = answer.json()
    assert re.fullmatch(r"sk-rostra-\w+", created["value"])
    assert (created["object"], created["name"], created["expires_at"]) == ("api_key", "laptop", ends)
    assert created["limits"] == {
        "requests_per_minute": 7,
        "tokens_per_minute": None,
        "concurrent_streams": None,
        "budget_per_month": 2.5,
    }

    used = await client.get("/v1/models", headers=bearer(created["value"]))
    assert (used.status_code, used.headers["x-ratelimit-limit-requests"]) == (200, "7")

    listed = (await client.get("/v1/api_keys")).json()["data"]
    assert [key["name"] for key in listed] == ["", "laptop"]
    assert all("value" not in key for key in listed)
    assert created["value"] not in str(listed)

    revoked = await client.delete(f"/v1/api_keys/{created['id']}")
    assert revoked.json() == {"id": created["id"], "object": "api_key.deleted", "deleted": True}
    assert (await client.delete(f"/v1/api_keys/{created['id']}")).status_code == 404


@pytest.mark.parametrize(
    ("form", "param"),
    [
        ({"expires_at": 1}, "expires_at"),
        ({"expires_at": "4000000000"}, "expires_at"),
        ({"expires_at": 10**18}, "expires_at"),
        ({"expires_at": 4e9}, "expires_at"),
        ({"limits": {"requests_per_minute": 0}}, "limits.requests_per_minute"),
        ({"limits": {"budget_per_month": -1}}, "limits.budget_per_month"),
        ({"limits": []}, "limits"),
        ({"name": "a" * 257}, "name"),
        ({"expires_in": 5}, "expires_in"),
    ],
)
async def test_wrong_api_key_is_400_and_named(client: httpx.AsyncClient, form: dict, param: str) -> None:
    answer = await client.post("/v1/api_keys", json=form)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


async def test_usage_tells_what_was_spent(anyone: httpx.AsyncClient, services: Services) -> None:
    key = services.user.add_key(services.user.add_user(limits=Limits(budget_micros_per_month=5_000_000)))
    answer = await anyone.get("/v1/usage", headers=bearer(key), params={"start_time": 86_400, "end_time": 172_800})
    assert answer.json() == {
        "object": "list",
        "data": [
            {
                "object": "usage.bucket",
                "start_time": 86_400,
                "model": "echo",
                "requests": 2,
                "input_tokens": 10,
                "cached_input_tokens": 0,
                "output_tokens": 5,
                "cost": 0.0015,
            }
        ],
        "budget": {"limit": 5.0, "spent": 2.5},
    }


async def test_usage_is_that_of_thirty_days_by_default(client: httpx.AsyncClient) -> None:
    start = (await client.get("/v1/usage")).json()["data"][0]["start_time"]
    assert abs(time.time() - 30 * 86_400 - start) < 5


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("start_time=x", "start_time"),
        ("start_time=-1", "start_time"),
        ("end_time=99999999999999999", "end_time"),
        ("start_time=5&end_time=4", "start_time"),
    ],
)
async def test_wrong_time_is_400_and_named(client: httpx.AsyncClient, query: str, param: str) -> None:
    answer = await client.get(f"/v1/usage?{query}")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
