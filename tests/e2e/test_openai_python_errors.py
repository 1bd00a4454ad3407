"""Every status that the SDK has a class for is raised as that class, with OpenAI's error body, and at the first try."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam

from support.provider import closed_port
from support.stack import Account, SharedStack, create_key, own_stack, register, sdk

pytestmark = pytest.mark.e2e

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello"}]
INVITATION = "welcome-aboard"


@pytest.fixture
async def guarded_client(tmp_path: Path) -> AsyncIterator[AsyncOpenAI]:
    """Yield a client of a stack that only the invited may join, and whose provider is away."""
    settings = {
        "ROSTRA_USER_REGISTRATION": "invited",
        "ROSTRA_USER_INVITATION_CODE": INVITATION,
        "OPENAI_BASE_URL": f"http://127.0.0.1:{closed_port()}/v1",
        "OPENAI_API_KEY": "sk-scripted",
    }
    async with own_stack(tmp_path, environment=settings) as stack:
        account = register(stack.gateway_urls[0], invitation_code=INVITATION)
        async with sdk(stack.gateway_urls[0], account.api_key) as client:
            yield client


def body_of(error: openai.APIStatusError) -> dict[str, Any]:
    """Return OpenAI's error object, which is the whole answer."""
    answer: dict[str, dict[str, Any]] = error.response.json()
    assert set(answer) == {"error"}
    assert set(answer["error"]) == {"message", "type", "param", "code"}
    assert answer["error"]["message"]
    assert error.response.headers["x-request-id"] == error.request_id
    return answer["error"]


async def test_wrong_parameter_is_a_bad_request(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        await client.chat.completions.create(model="ok", messages=HELLO, temperature=9)
    assert raised.value.status_code == 400
    assert body_of(raised.value)["param"] == "temperature"
    assert body_of(raised.value)["type"] == "invalid_request_error"


async def test_bad_request_at_the_provider_names_the_same_parameter(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        await client.chat.completions.create(model="status-400", messages=HELLO)
    assert body_of(raised.value)["param"] == "temperature"


async def test_too_long_context_is_a_bad_request(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        await client.chat.completions.create(model="status-400-context", messages=HELLO)
    assert body_of(raised.value)["code"] == "context_length_exceeded"


@pytest.mark.parametrize("api_key", ["sk-rostra-unknown", "sk-proj-of-somebody-else", "no key at all"])
async def test_wrong_key_fails_authentication(stack: SharedStack, api_key: str) -> None:
    async with sdk(stack.gateway_urls[0], api_key) as client:
        with pytest.raises(openai.AuthenticationError) as raised:
            await client.models.list()
    assert raised.value.status_code == 401
    assert body_of(raised.value)["code"] == "invalid_api_key"
    assert api_key not in raised.value.response.text


async def test_stranger_is_denied_and_absent_provider_unavailable(guarded_client: AsyncOpenAI) -> None:
    stranger = {"email": "stranger@example.com", "password": "correct horse battery"}
    for invitation in ({}, {"invitation_code": "wrong"}):
        with pytest.raises(openai.PermissionDeniedError) as denied:
            await guarded_client.post("/auth/register", body=stranger | invitation, cast_to=object)
        assert denied.value.status_code == 403
        body_of(denied.value)

    with pytest.raises(openai.InternalServerError) as away:
        await guarded_client.chat.completions.create(model="gpt-5-mini", messages=HELLO)
    assert away.value.status_code == 503
    assert body_of(away.value)["type"] == "server_error"
    assert int(away.value.response.headers["retry-after"]) >= 1


async def test_unknown_model_is_not_found(client: AsyncOpenAI) -> None:
    for attempt in (
        client.chat.completions.create(model="no-such-model", messages=HELLO),
        client.chat.completions.create(model="no-such-model", messages=HELLO, stream=True),
        client.responses.create(model="no-such-model", input="Hello"),
        client.responses.create(model="no-such-model", input="Hello", stream=True),
    ):
        with pytest.raises(openai.NotFoundError) as raised:
            await attempt
        assert raised.value.status_code == 404
        assert body_of(raised.value)["code"] == "model_not_found"
        assert body_of(raised.value)["param"] == "model"


async def test_second_account_of_one_address_is_a_conflict(client: AsyncOpenAI, account: Account) -> None:
    again = {"email": account.email.upper(), "password": "correct horse battery"}
    with pytest.raises(openai.ConflictError) as raised:
        await client.post("/auth/register", body=again, cast_to=object)
    assert raised.value.status_code == 409
    body_of(raised.value)


async def test_eleven_megabytes_are_too_large(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.APIStatusError) as raised:
        await client.responses.create(model="ok", input="x" * 11_000_000)
    assert raised.value.status_code == 413
    body_of(raised.value)


async def test_unprocessable_at_the_provider_stays_so(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.UnprocessableEntityError) as raised:
        await client.chat.completions.create(model="status-422", messages=HELLO)
    assert raised.value.status_code == 422
    assert body_of(raised.value)["param"] == "top_p"


async def test_limit_of_a_key_is_a_rate_limit(stack: SharedStack, account: Account) -> None:
    key = create_key(stack.gateway_urls[0], account, requests_per_minute=2)
    async with sdk(stack.gateway_urls[0], key) as client:
        await client.models.list()
        await client.models.list()
        with pytest.raises(openai.RateLimitError) as raised:
            await client.models.list()
    assert raised.value.status_code == 429
    assert body_of(raised.value)["code"] == "rate_limit_exceeded"
    assert body_of(raised.value)["type"] == "requests"
    assert 1 <= int(raised.value.response.headers["retry-after"]) <= 60


async def test_rate_limit_of_the_provider_is_passed_on(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.RateLimitError) as raised:
        await client.chat.completions.create(model="status-429", messages=HELLO)
    assert raised.value.response.headers["retry-after"] == "7"
    body_of(raised.value)


@pytest.mark.parametrize(("model", "status"), [("status-500", 500), ("status-503", 503)])
async def test_failure_of_the_provider_is_a_server_error(client: AsyncOpenAI, model: str, status: int) -> None:
    for attempt in (
        client.chat.completions.create(model=model, messages=HELLO),
        client.chat.completions.create(model=model, messages=HELLO, stream=True),
        client.responses.create(model=model, input="Hello"),
    ):
        with pytest.raises(openai.InternalServerError) as raised:
            await attempt
        assert raised.value.status_code == status
        assert body_of(raised.value)["type"] == "server_error"


async def test_unknown_path_and_method_have_an_error_body(stack: SharedStack, account: Account) -> None:
    async with httpx.AsyncClient(base_url=stack.gateway_urls[0], headers=account.key) as http:
        unknown = await http.get("/v1/no/such/path")
        wrong = await http.put("/v1/chat/completions")
    assert (unknown.status_code, wrong.status_code) == (404, 405)
    assert {*unknown.json()["error"]} == {*wrong.json()["error"]} == {"message", "type", "param", "code"}
