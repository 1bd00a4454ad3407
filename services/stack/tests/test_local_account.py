"""The account that a stack on one's own machine comes with, against a gateway that only keeps accounts."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from rostra_stack.local_account import local_api_key


class Accounts:
    """Registers, signs in and makes keys; `refuse_keys` makes the last step fail."""

    def __init__(self) -> None:
        self.passwords: dict[str, str] = {}
        self.keys: list[str] = []
        self.refuse_keys = False

    async def register(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body["email"] in self.passwords:
            return web.json_response({}, status=409)
        self.passwords[body["email"]] = body["password"]
        return web.json_response({"access_token": "token"}, status=201)

    async def login(self, request: web.Request) -> web.Response:
        body = await request.json()
        is_right = self.passwords.get(body["email"]) == body["password"]
        return web.json_response({"access_token": "token"}, status=200 if is_right else 401)

    async def create_key(self, request: web.Request) -> web.Response:
        if self.refuse_keys:
            return web.json_response({}, status=503)
        self.keys.append(f"sk-rostra-{len(self.keys)}")
        return web.json_response({"value": self.keys[-1]}, status=201)

    async def me(self, request: web.Request) -> web.Response:
        is_key = request.headers["authorization"].removeprefix("Bearer ") in self.keys
        return web.json_response({}, status=200 if is_key else 401)


@pytest.fixture
def accounts() -> Accounts:
    return Accounts()


@pytest.fixture
async def url(accounts: Accounts) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/v1/auth/register", accounts.register)
    app.router.add_post("/v1/auth/login", accounts.login)
    app.router.add_post("/v1/api_keys", accounts.create_key)
    app.router.add_get("/v1/me", accounts.me)
    async with TestServer(app) as server:
        yield str(server.make_url("/"))


async def test_second_start_has_the_same_key(url: str, tmp_path: Path) -> None:
    assert await local_api_key(url, tmp_path) == await local_api_key(url, tmp_path) == "sk-rostra-0"


async def test_start_after_an_interrupted_one_signs_in(url: str, tmp_path: Path, accounts: Accounts) -> None:
    accounts.refuse_keys = True
    with pytest.raises(Exception, match="503"):
        await local_api_key(url, tmp_path)
    accounts.refuse_keys = False
    assert await local_api_key(url, tmp_path) == "sk-rostra-0"


async def test_revoked_key_is_replaced(url: str, tmp_path: Path, accounts: Accounts) -> None:
    await local_api_key(url, tmp_path)
    accounts.keys[0] = "revoked"
    assert await local_api_key(url, tmp_path) == "sk-rostra-1"


async def test_account_can_be_read_by_its_owner_only(url: str, tmp_path: Path) -> None:
    await local_api_key(url, tmp_path)
    path = tmp_path / "local-account.json"
    assert path.stat().st_mode & 0o077 == 0
    assert json.loads(path.read_text())["api_key"] == "sk-rostra-0"
