"""Sessions over HTTP: how they begin, go on and end, at every gateway."""

import asyncio

import httpx
import jwt
import pytest

from support.stack import Account, eventually

pytestmark = pytest.mark.e2e


def bearer(tokens: dict[str, str]) -> dict[str, str]:
    return {"authorization": f"Bearer {tokens['access_token']}"}


async def refresh(http: httpx.AsyncClient, token: str) -> httpx.Response:
    return await http.post("/v1/auth/refresh", json={"refresh_token": token})


async def test_login_answers_account_and_tokens(http: httpx.AsyncClient, account: Account) -> None:
    login = {"email": account.email.upper(), "password": account.password}
    answer = await http.post("/v1/auth/login", json=login)
    assert answer.status_code == 200
    session = answer.json()
    assert session["user"]["id"] == account.user_id
    assert session["token_type"] == "bearer"
    assert (await http.get("/v1/me", headers=bearer(session))).json()["id"] == account.user_id


async def test_wrong_password_and_unknown_address_look_alike(http: httpx.AsyncClient, account: Account) -> None:
    wrong = await http.post("/v1/auth/login", json={"email": account.email, "password": "wrong password"})
    unknown = await http.post("/v1/auth/login", json={"email": "nobody@example.com", "password": "wrong password"})
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() == unknown.json()


async def test_refresh_token_works_once_and_its_reuse_ends_the_session(
    http: httpx.AsyncClient, other_http: httpx.AsyncClient, account: Account
) -> None:
    first = await refresh(http, account.refresh_token)
    assert first.status_code == 200
    second = await refresh(other_http, first.json()["refresh_token"])
    assert second.status_code == 200
    assert (await other_http.get("/v1/me", headers=bearer(second.json()))).status_code == 200

    reused = await refresh(http, first.json()["refresh_token"])
    assert reused.status_code == 401
    assert reused.json()["error"]["code"] == "invalid_refresh_token"
    assert (await refresh(http, second.json()["refresh_token"])).status_code == 401

    async def is_ended() -> bool:
        return (await other_http.get("/v1/me", headers=bearer(second.json()))).status_code == 401

    await eventually(is_ended, within_seconds=1)


async def test_one_of_many_who_refresh_at_once_wins(
    http: httpx.AsyncClient, other_http: httpx.AsyncClient, account: Account
) -> None:
    answers = await asyncio.gather(*(refresh(each, account.refresh_token) for each in (http, other_http) * 3))
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401, 401, 401]


@pytest.mark.parametrize("by", ["refresh token", "access token"])
async def test_logout_ends_the_session_at_every_gateway(
    http: httpx.AsyncClient, other_http: httpx.AsyncClient, account: Account, by: str
) -> None:
    assert (await other_http.get("/v1/me", headers=account.session)).status_code == 200
    if by == "refresh token":
        ended = await http.post("/v1/auth/logout", json={"refresh_token": account.refresh_token})
    else:
        ended = await http.post("/v1/auth/logout", headers=account.session)
    assert ended.status_code == 204

    async def is_ended() -> bool:
        answers = [await each.get("/v1/me", headers=account.session) for each in (http, other_http)]
        return {answer.status_code for answer in answers} == {401}

    await eventually(is_ended, within_seconds=1)
    assert (await refresh(http, account.refresh_token)).status_code == 401
    # Keys are no part of a session.
    assert (await http.get("/v1/me", headers=account.key)).status_code == 200


async def test_logout_leaves_other_sessions_alone(http: httpx.AsyncClient, account: Account) -> None:
    login = {"email": account.email, "password": account.password}
    elsewhere = (await http.post("/v1/auth/login", json=login)).json()
    assert (await http.post("/v1/auth/logout", headers=account.session)).status_code == 204
    assert (await http.get("/v1/me", headers=bearer(elsewhere))).status_code == 200


async def test_access_tokens_verify_with_the_published_keys(http: httpx.AsyncClient, account: Account) -> None:
    published = jwt.PyJWKSet.from_dict((await http.get("/.well-known/jwks.json")).json())
    kid = jwt.get_unverified_header(account.access_token)["kid"]
    claims = jwt.decode(account.access_token, published[kid], algorithms=["EdDSA"], audience="rostra", issuer="rostra")
    assert claims["sub"] == account.user_id
    assert claims["exp"] - claims["iat"] == 600


async def test_token_that_was_signed_by_somebody_else_is_refused(http: httpx.AsyncClient, account: Account) -> None:
    header, payload, signature = account.access_token.split(".")
    middle = len(signature) // 2
    forged = signature[:middle] + ("A" if signature[middle] != "A" else "B") + signature[middle + 1 :]
    unsigned = jwt.encode(jwt.decode(account.access_token, options={"verify_signature": False}), "", algorithm="none")
    for token in (f"{header}.{payload}.{forged}", unsigned, f"{header}.{payload}."):
        answer = await http.get("/v1/me", headers={"authorization": f"Bearer {token}"})
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
