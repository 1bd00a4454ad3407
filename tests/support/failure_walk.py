"""Every operation of the OpenAPI document, called with ids that nobody has: what it meets on the way, it tells."""

import asyncio
import re
import time
from dataclasses import dataclass
from typing import Any

import httpx

from support.stack import Account

_IDS = {
    "response_id": "resp_00000000000000000000000000000000",
    "conversation_id": "conv_00000000000000000000000000000000",
    "item_id": "msg_00000000000000000000000000000000",
    "api_key_id": "key_00000000000000000000000000000000",
    "share_id": "share_000000000000000000000000000000000000000000000000",
    "completion_id": "chatcmpl-00000000000000000000000000000000",
    "user_id": "user_00000000000000000000000000000000",
    "plan": "none",
    "model": "none",
}
# These end the account or the session that all others use.
_LEFT_OUT = {("delete", "/v1/me"), ("post", "/v1/auth/logout")}


@dataclass(frozen=True, slots=True)
class Told:
    """What an operation told.

    Attributes:
        operation: Its method and path.
        status: The answer's status; 0 when there was none.
        seconds: The time it took.
        retry_after: What the answer said about coming back.
    """

    operation: str
    status: int
    seconds: float
    retry_after: str

    @property
    def is_export(self) -> bool:
        """Tell whether the answer is a file, page after page: it takes its time, and is cut off where it breaks."""
        return self.operation.endswith("/export")

    @property
    def is_clear(self) -> bool:
        """Tell whether the client was told what to do: all is well, the request is wrong, or try again."""
        if self.is_export and self.status == 0:
            return True
        return 200 <= self.status < 500 or (self.status == 503 and bool(self.retry_after)) or self.status == 504


async def walk(http: httpx.AsyncClient, administrator: Account) -> list[Told]:
    """Call every operation, all at once, as somebody who may do everything."""
    paths: dict[str, dict[str, Any]] = (await http.get("/openapi.json")).json()["paths"]
    operations = [(method, path) for path, methods in paths.items() for method in methods]
    wanted = [operation for operation in operations if operation not in _LEFT_OUT]
    return await asyncio.gather(*(_call(http, administrator, *operation) for operation in wanted))


async def _call(http: httpx.AsyncClient, administrator: Account, method: str, path: str) -> Told:
    started = time.monotonic()
    url = re.sub(r"{(\w+)(?::path)?}", lambda found: _IDS[found[1]], path)
    body = {"json": {}} if method in ("post", "put", "patch") else {}
    try:
        answer = await http.request(method, url, headers=administrator.session, params={"query": "x"}, **body)
    except httpx.TransportError:
        return Told(f"{method} {path}", 0, time.monotonic() - started, "")
    seconds = time.monotonic() - started
    return Told(f"{method} {path}", answer.status_code, seconds, answer.headers.get("retry-after", ""))
