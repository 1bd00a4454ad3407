"""Pages of other origins: none may use the API, but those that the settings name."""

from collections.abc import AsyncIterator

import httpx
import pytest
from pydantic import ValidationError

from rostra_gateway.settings import CorsSettings
from services.gateway.tests.conftest import StartGateway, connect

PAGE = "https://app.example.com"
ASKS = {
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type,idempotency-key,x-stainless-os,x-evil",
}


@pytest.fixture
async def open_to_page(start_gateway: StartGateway, alice: str) -> AsyncIterator[httpx.AsyncClient]:
    gateway = await start_gateway(cors=CorsSettings(allowed_origins=(PAGE,), max_age_seconds=60))
    async with connect(gateway, alice) as client:
        yield client


def told(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-")}


async def test_without_origins_no_page_is_told_anything(client: httpx.AsyncClient) -> None:
    asked = await client.options("/v1/models", headers={"origin": PAGE, **ASKS})
    assert asked.status_code == 405
    assert told(asked) == told(await client.get("/v1/models", headers={"origin": PAGE})) == {}


async def test_named_origin_may_send_what_sdks_send(open_to_page: httpx.AsyncClient) -> None:
    answer = await open_to_page.options("/v1/responses", headers={"origin": PAGE, **ASKS})
    assert answer.status_code == 204
    assert answer.headers["vary"] == "Origin"
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert answer.headers["access-control-allow-methods"] == "GET, POST, PATCH, DELETE"
    assert answer.headers["access-control-allow-headers"] == (
        "authorization, content-type, idempotency-key, x-stainless-os"
    )
    assert answer.headers["access-control-max-age"] == "60"
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(("path", "status"), [("/v1/models", 200), ("/v1/conversations/conv_none", 404)])
async def test_named_origin_may_read_limits_and_request_id(
    open_to_page: httpx.AsyncClient, path: str, status: int
) -> None:
    answer = await open_to_page.get(path, headers={"origin": PAGE})
    assert answer.status_code == status
    assert answer.headers["access-control-allow-origin"] == PAGE
    exposed = answer.headers["access-control-expose-headers"].split(", ")
    assert {"x-request-id", "retry-after", "x-ratelimit-limit-requests", "x-ratelimit-remaining-tokens"} <= {*exposed}
    assert {name for name in answer.headers if name.startswith("x-ratelimit-")} <= {*exposed}


@pytest.mark.parametrize("origin", ["https://evil.example.com", f"{PAGE}.evil.example", "null", PAGE.upper()])
async def test_other_origin_is_told_nothing(open_to_page: httpx.AsyncClient, origin: str) -> None:
    for answer in (
        await open_to_page.options("/v1/models", headers={"origin": origin, **ASKS}),
        await open_to_page.get("/v1/models", headers={"origin": origin}),
    ):
        assert told(answer) == {}
        assert answer.headers["vary"] == "Origin"


@pytest.mark.parametrize("origin", ["*", "https://*.example.com", f"{PAGE}/", "app.example.com", "null", "https://a b"])
def test_what_is_no_exact_origin_is_refused(origin: str) -> None:
    with pytest.raises(ValidationError):
        CorsSettings(allowed_origins=(origin,))
