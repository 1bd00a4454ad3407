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
    async with aiohttp.ClientSession(base_url, raise_for_status=True) as http:
        if path.exists():
            account = json.loads(path.read_text())
            if await _works(http, account["api_key"]):
                return str(account["api_key"])
            token = await _token(http, "/v1/auth/login", account["password"])
        else:
            account = {"email": EMAIL, "password": secrets.token_urlsafe(24)}
            token = await _token(http, "/v1/auth/register", account["password"])
        account["api_key"] = await _new_key(http, token)
    path.touch(mode=0o600)
    path.write_text(json.dumps(account, indent=2) + "\n")
    return str(account["api_key"])


async def _works(http: aiohttp.ClientSession, api_key: str) -> bool:
    headers = {"authorization": f"Bearer {api_key}"}
    async with http.get("/v1/me", headers=headers, raise_for_status=False) as answer:
        return answer.status == 200


async def _token(http: aiohttp.ClientSession, path: str, password: str) -> str:
    async with http.post(path, json={"email": EMAIL, "password": password}) as answer:
        return str((await answer.json())["access_token"])


async def _new_key(http: aiohttp.ClientSession, token: str) -> str:
    headers = {"authorization": f"Bearer {token}"}
    async with http.post("/v1/api_keys", json={"name": "local"}, headers=headers) as answer:
        return str((await answer.json())["value"])
