"""The account that a stack on one's own machine comes with, so that there is a key to begin with."""

import json
import secrets
from pathlib import Path

import aiohttp

EMAIL = "you@example.com"


async def local_api_key(base_url: str, data: Path) -> str:
    """Return an API key of the local account, making account and key the first time.

    They are kept in `local-account.json` below `data`, which only the owner can read.
    """
    path = data / "local-account.json"
    if path.exists():
        account = json.loads(path.read_text())
    else:
        # Kept before it is used: whoever interrupts the first start can still sign in at the second.
        account = {"email": EMAIL, "password": secrets.token_urlsafe(24), "api_key": ""}
        _keep(account, path)
    async with aiohttp.ClientSession(base_url, raise_for_status=True) as http:
        if not await _works(http, account["api_key"]):
            account["api_key"] = await _new_key(http, await _access_token(http, account["password"]))
            _keep(account, path)
    return str(account["api_key"])


def _keep(account: dict[str, str], path: Path) -> None:
    new = path.with_suffix(".new")
    new.touch(mode=0o600)
    new.write_text(json.dumps(account, indent=2) + "\n")
    new.replace(path)


async def _works(http: aiohttp.ClientSession, api_key: str) -> bool:
    headers = {"authorization": f"Bearer {api_key}"}
    async with http.get("/v1/me", headers=headers, raise_for_status=False) as answer:
        return answer.status == 200


async def _access_token(http: aiohttp.ClientSession, password: str) -> str:
    """Register the account, or sign in where it is registered already."""
    credentials = {"email": EMAIL, "password": password}
    async with http.post("/v1/auth/register", json=credentials, raise_for_status=False) as answer:
        if answer.status == 201:
            return str((await answer.json())["access_token"])
    async with http.post("/v1/auth/login", json=credentials) as answer:
        return str((await answer.json())["access_token"])


async def _new_key(http: aiohttp.ClientSession, token: str) -> str:
    headers = {"authorization": f"Bearer {token}"}
    async with http.post("/v1/api_keys", json={"name": "local"}, headers=headers) as answer:
        return str((await answer.json())["value"])
