"""Accounts over HTTP: registering, reading, changing and deleting them with all that is theirs."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from support.stack import Account, eventually

pytestmark = pytest.mark.e2e


def newcomer(**fields: str) -> dict[str, str]:
    return {"email": f"{uuid4().hex}@example.com", "password": "correct horse battery", **fields}


async def test_registration_answers_account_and_tokens(http: httpx.AsyncClient) -> None:
    person = newcomer(name="Marcus")
    answer = await http.post("/v1/auth/register", json=person)
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    session = answer.json()
    assert {"user", "access_token", "refresh_token", "expires_in"} <= set(session)
    assert session["expires_in"] == 600
    user = session["user"]
    assert user["id"].startswith("user_")
    assert (user["email"], user["name"], user["role"]) == (person["email"], "Marcus", "user")
    assert user["limits"]["requests_per_minute"] > 0
    assert person["password"] not in answer.text


async def test_access_token_works_at_once_at_every_gateway(
    http: httpx.AsyncClient, other_http: httpx.AsyncClient, account: Account
) -> None:
    for gateway in (http, other_http):
        answer = await gateway.get("/v1/me", headers=account.session)
        assert answer.status_code == 200
        assert answer.json()["id"] == account.user_id


@pytest.mark.parametrize(
    ("field", "value"),
    [("password", "short"), ("password", None), ("email", "no address"), ("email", None), ("email", 7)],
)
async def test_unacceptable_registration_names_the_field(http: httpx.AsyncClient, field: str, value: Any) -> None:
    person: dict[str, Any] = {**newcomer(), field: value}
    if value is None:
        del person[field]
    answer = await http.post("/v1/auth/register", json=person)
    assert answer.status_code in (400, 422)
    assert answer.json()["error"]["param"] == field


async def test_name_is_changed_without_the_password(
    http: httpx.AsyncClient, other_http: httpx.AsyncClient, account: Account
) -> None:
    changed = await http.patch("/v1/me", json={"name": "Titus"}, headers=account.session)
    assert changed.status_code == 200
    assert changed.json()["name"] == "Titus"
    assert (await other_http.get("/v1/me", headers=account.session)).json() == changed.json()


@pytest.mark.parametrize("field", ["email", "new_password"])
async def test_credentials_are_not_changed_without_the_password(
    http: httpx.AsyncClient, account: Account, field: str
) -> None:
    change = {field: f"{uuid4().hex}@example.com"}
    for proof in ({}, {"current_password": "wrong password"}):
        answer = await http.patch("/v1/me", json=change | proof, headers=account.session)
        assert answer.is_client_error
        assert answer.json()["error"]["param"] == "current_password"
    signed_in = await http.post("/v1/auth/login", json={"email": account.email, "password": account.password})
    assert signed_in.status_code == 200


async def test_new_password_replaces_the_old_one_and_ends_other_sessions(
    http: httpx.AsyncClient, other_http: httpx.AsyncClient, account: Account
) -> None:
    login = {"email": account.email, "password": account.password}
    elsewhere = (await http.post("/v1/auth/login", json=login)).json()
    bearer = {"authorization": f"Bearer {elsewhere['access_token']}"}
    assert (await other_http.get("/v1/me", headers=bearer)).status_code == 200

    change = {"new_password": "another fine password", "current_password": account.password}
    assert (await http.patch("/v1/me", json=change, headers=account.session)).status_code == 200

    async def is_signed_out() -> bool:
        return (await other_http.get("/v1/me", headers=bearer)).status_code == 401

    await eventually(is_signed_out, within_seconds=1)
    assert (await http.get("/v1/me", headers=account.session)).status_code == 200
    assert (await http.post("/v1/auth/login", json=login)).status_code == 401
    renewed = await http.post("/v1/auth/login", json={**login, "password": change["new_password"]})
    assert renewed.status_code == 200


async def test_deleted_account_is_gone_with_all_that_was_its(
    http: httpx.AsyncClient, other_http: httpx.AsyncClient, account: Account
) -> None:
    asked = {"model": "ok", "input": "Remember me"}
    response = (await http.post("/v1/responses", json=asked, headers=account.key)).json()
    conversation = (await http.post("/v1/conversations", json={}, headers=account.key)).json()
    assert (await other_http.get(f"/v1/responses/{response['id']}", headers=account.key)).status_code == 200

    assert (await http.delete("/v1/me", headers=account.session)).status_code == 204

    async def is_locked_out() -> bool:
        answers = [
            await each.get("/v1/me", headers=headers)
            for each in (http, other_http)
            for headers in (account.session, account.key)
        ]
        return {answer.status_code for answer in answers} == {401}

    await eventually(is_locked_out, within_seconds=1)
    refreshed = await http.post("/v1/auth/refresh", json={"refresh_token": account.refresh_token})
    assert refreshed.status_code == 401

    again = {"email": account.email, "password": account.password}
    assert (await http.post("/v1/auth/login", json=again)).status_code == 401
    reborn = (await http.post("/v1/auth/register", json=again)).json()
    assert reborn["user"]["id"] != account.user_id
    bearer = {"authorization": f"Bearer {reborn['access_token']}"}
    for path in (f"/v1/responses/{response['id']}", f"/v1/conversations/{conversation['id']}"):
        assert (await http.get(path, headers=bearer)).status_code == 404
    assert (await http.get("/v1/conversations", headers=bearer)).json()["data"] == []
    assert (await http.get("/v1/api_keys", headers=bearer)).json()["data"] == []
    assert (await http.get("/v1/usage", headers=bearer)).json()["data"] == []


async def test_deletion_leaves_others_alone(http: httpx.AsyncClient, account: Account) -> None:
    mine = (await http.post("/v1/conversations", json={}, headers=account.key)).json()
    other = (await http.post("/v1/auth/register", json=newcomer())).json()
    bearer = {"authorization": f"Bearer {other['access_token']}"}
    assert (await http.delete("/v1/me", headers=bearer)).status_code == 204
    assert (await http.get(f"/v1/conversations/{mine['id']}", headers=account.key)).status_code == 200
