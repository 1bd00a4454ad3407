"""API keys over HTTP: made, listed, revoked at every gateway, ended by time."""

import time
from typing import Any

import httpx
import pytest

from support.stack import Account, eventually

pytestmark = pytest.mark.e2e


async def test_created_key_shows_its_secret_once(http: httpx.AsyncClient, account: Account) -> None:
    created = await http.post("/v1/api_keys", json={"name": "laptop"}, headers=account.session)
    assert created.status_code == 201
    assert created.headers["cache-control"] == "no-store"
    key = created.json()
    assert key["value"].startswith("sk-rostra-")
    listed = await http.get("/v1/api_keys", headers=account.session)
    assert key["value"] not in listed.text
    del key["value"]
    assert key in listed.json()["data"]
    assert (key["name"], key["expires_at"]) == ("laptop", None)


async def test_keys_are_listed_in_pages(http: httpx.AsyncClient, account: Account) -> None:
    created = [account.api_key_id]
    for number in range(4):
        key = await http.post("/v1/api_keys", json={"name": f"key {number}"}, headers=account.session)
        created.append(key.json()["id"])
    listed: list[str] = []
    page: dict[str, Any] = {"has_more": True, "last_id": ""}
    while page["has_more"]:
        query = {"limit": 2, "after": page["last_id"], "order": "asc"}
        page = (await http.get("/v1/api_keys", params=query, headers=account.session)).json()
        listed += [key["id"] for key in page["data"]]
    assert listed == created


async def test_revoked_key_ends_within_a_second_at_every_gateway(
    http: httpx.AsyncClient, other_http: httpx.AsyncClient, account: Account
) -> None:
    both = (http, other_http)
    # Each gateway knows the key by now, and would go on to.
    assert [(await each.get("/v1/models", headers=account.key)).status_code for each in both] == [200, 200]
    revoked = await http.delete(f"/v1/api_keys/{account.api_key_id}", headers=account.session)
    assert revoked.json() == {"id": account.api_key_id, "object": "api_key.deleted", "deleted": True}

    async def is_ended() -> bool:
        return {(await each.get("/v1/models", headers=account.key)).status_code for each in both} == {401}

    await eventually(is_ended, within_seconds=1)
    listed = await http.get("/v1/api_keys", headers=account.session)
    assert listed.json()["data"] == []
    again = await http.delete(f"/v1/api_keys/{account.api_key_id}", headers=account.session)
    assert again.status_code == 404


async def test_key_ends_when_it_was_said_to(http: httpx.AsyncClient, account: Account) -> None:
    ending: dict[str, Any] = {"name": "short", "expires_at": int(time.time()) + 2}
    key = (await http.post("/v1/api_keys", json=ending, headers=account.session)).json()
    bearer = {"authorization": f"Bearer {key['value']}"}
    assert (await http.get("/v1/models", headers=bearer)).status_code == 200

    async def is_ended() -> bool:
        return (await http.get("/v1/models", headers=bearer)).status_code == 401

    await eventually(is_ended, within_seconds=4)
    assert time.time() >= ending["expires_at"]


async def test_key_cannot_end_in_the_past(http: httpx.AsyncClient, account: Account) -> None:
    answer = await http.post("/v1/api_keys", json={"expires_at": int(time.time()) - 1}, headers=account.session)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "expires_at"


async def test_unknown_field_is_named(http: httpx.AsyncClient, account: Account) -> None:
    answer = await http.post("/v1/api_keys", json={"limit": {}}, headers=account.session)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "limit"
