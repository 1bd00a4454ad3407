"""A provider that cannot be reached is said at once, and what does not need it goes on."""

import time
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from support.openai_error import refusal
from support.provider import closed_port
from support.stack import own_stack, register

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

# Of the built-in catalogue: what the provider would list is not known.
_MODEL = "gpt-5-mini"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of a stack whose provider is not there."""
    environment = {"OPENAI_BASE_URL": f"http://127.0.0.1:{closed_port()}/v1", "OPENAI_API_KEY": "sk-scripted"}
    async with own_stack(tmp_path_factory.mktemp("refused"), environment=environment) as stack:
        url = stack.gateway_urls[0]
        async with httpx.AsyncClient(base_url=url, headers=register(url).key, timeout=20) as http:
            yield http


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses"])
async def test_unreachable_provider_is_unavailable_at_once(http: httpx.AsyncClient, path: str, stream: bool) -> None:
    body = {"model": _MODEL, "stream": stream, "input": "Hi", "messages": [{"role": "user", "content": "Hi"}]}
    started = time.monotonic()
    answer = await http.post(path, json=body)
    assert time.monotonic() - started < 2
    assert refusal(answer, 503)["code"] == "provider_unavailable"
    assert answer.headers["retry-after"] == "1"


async def test_unreachable_provider_leaves_the_rest_alone(http: httpx.AsyncClient) -> None:
    answer = await http.post("/v1/responses", json={"model": "echo", "input": "Hi", "store": False})
    assert answer.status_code == 200, answer.text
    listed = (await http.get("/v1/models")).json()["data"]
    assert {"echo", _MODEL} <= {model["id"] for model in listed}
