"""What people write, are answered and keep secret is in no log line, metric or trace of any service, whatever fails."""

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from rostra_stack.stack import Stack
from support.provider import ScriptedProvider
from support.provider_script import FAULT_MODELS, GOOD_MODELS, say
from support.stack import own_stack, register
from support.trace_receiver import TraceReceiver, trace_receiver

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

_FAULTS = [model for model in FAULT_MODELS if not model.startswith("stall")]
_SERVICES = ("gateway", "chat", "history", "user")
_CANARIES = {
    name: f"canary-{name}-7f3a"
    for name in ("prompt", "answer", "header", "query", "password", "key", "file", "name", "metadata", "title")
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def receiver(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TraceReceiver]:
    async with trace_receiver(tmp_path_factory.mktemp("traces") / "spans") as receiver:
        yield receiver


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def traced(tmp_path_factory: pytest.TempPathFactory, receiver: TraceReceiver) -> AsyncIterator[Stack]:
    """A stack that logs all it can."""
    provider = ScriptedProvider(models=("talker", *GOOD_MODELS, *FAULT_MODELS))
    provider.program("talker", say(_CANARIES["answer"]))
    environment = {f"ROSTRA_{service.upper()}_LOG_LEVEL": "debug" for service in _SERVICES}
    environment |= {
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "OTEL_TRACES_SAMPLER": "parentbased_always_on",
        "OPENAI_API_KEY": _CANARIES["key"],
        "ROSTRA_CHAT_PROVIDER__ANSWER_TIMEOUT_SECONDS": "2",
    }
    async with (
        provider,
        own_stack(tmp_path_factory.mktemp("traced"), provider=provider, environment=environment) as stack,
    ):
        yield stack


async def test_what_is_said_is_in_no_log_metric_or_trace(traced: Stack, receiver: TraceReceiver) -> None:
    base_url = traced.gateway_urls[0]
    account = register(base_url, name=_CANARIES["name"])
    headers = {**account.key, "x-canary": _CANARIES["header"], "user-agent": _CANARIES["header"]}
    async with httpx.AsyncClient(base_url=base_url, headers=headers, timeout=20) as http:
        await _use_everything(http)
        await _fail_everywhere(http)
        metrics = await _metrics(traced)
        await _fail_without_history(http, traced)
    await _stop(traced)
    traces = receiver.text()
    assert all(f"rostra-{name}" in traces for name in _SERVICES)
    assert all(rpc in traces for rpc in ("POST /v1/responses", "ChatService/StreamResponse"))

    secrets = {**_CANARIES, "API key": account.api_key, "password 2": account.password, "email": account.email}
    secrets |= {"access token": account.access_token, "refresh token": account.refresh_token}
    written = {name: child.log.read_text() for name, child in traced.children.items()}
    written |= {f"metrics of {name}": text for name, text in metrics.items()} | {"traces": traces}
    assert "Traceback" in written["chat"], "the faults left no traceback to look at"
    for place, text in written.items():
        assert text, place
        for name, secret in secrets.items():
            at = text.find(secret)
            assert at < 0, f"{name} in {place}: {text[max(0, at - 500) : at + 200]}"


async def _use_everything(http: httpx.AsyncClient) -> None:
    """Say secrets wherever something can be said, and well."""
    prompt = [{"role": "user", "content": _CANARIES["prompt"]}]
    fields = {"metadata": {"key": _CANARIES["metadata"]}, "user": _CANARIES["metadata"]}
    for model in ("talker", "echo"):
        for stream in (False, True):
            chat = {"model": model, "messages": prompt, "stream": stream, "store": True, **fields}
            assert (await http.post("/v1/chat/completions", json=chat)).is_success
            response = {"model": model, "input": prompt, "instructions": _CANARIES["prompt"], "stream": stream}
            assert (await http.post("/v1/responses", json=response | fields)).is_success
    background = (await http.post("/v1/responses", json={**response, "background": True, "stream": True})).text
    assert "response.completed" in background
    conversation: Any = (await http.post("/v1/conversations", json={"items": prompt})).json()
    path = f"/v1/conversations/{conversation['id']}"
    assert (await http.post(path, json={"title": _CANARIES["title"]})).is_success
    assert (await http.get("/v1/conversations/search", params={"query": _CANARIES["prompt"]})).is_success
    assert (await http.post(f"{path}/title", json={"model": "talker"})).is_success
    assert (await http.get(f"{path}/export")).is_success
    keep = {"idempotency-key": _CANARIES["header"]}
    assert (await http.post("/v1/conversations", json={}, headers=keep)).is_success


async def _fail_everywhere(http: httpx.AsyncClient) -> None:
    """Say secrets where they are refused, and where something breaks while they are handled."""
    prompt = [{"role": "user", "content": _CANARIES["prompt"]}]
    for model in (*_FAULTS, _CANARIES["prompt"]):
        for stream in (False, True):
            await http.post("/v1/chat/completions", json={"model": model, "messages": prompt, "stream": stream})
            await http.post("/v1/responses", json={"model": model, "input": prompt, "stream": stream})
    secret = _CANARIES["prompt"]
    for body in (
        {"model": secret},
        {secret: secret},
        {"model": "echo", "messages": secret},
        {"model": [secret]},
        [secret],
    ):
        for path in ("/v1/chat/completions", "/v1/responses", "/v1/conversations", "/v1/conversations/import"):
            await http.post(path, json=body)
    await http.post("/v1/responses", content=f'{{"model": "{secret}')
    await http.get(f"/v1/conversations/{secret}", params={"x": _CANARIES["query"]})
    await http.get(f"/{secret}", params={"api_key": _CANARIES["query"]})
    for path in ("login", "register"):
        await http.post(f"/v1/auth/{path}", json={"email": "a@example.com", "password": _CANARIES["password"], "x": 1})
        await http.post(f"/v1/auth/{path}", json={"email": "a@example.com", "password": [_CANARIES["password"]]})
    await http.post("/v1/auth/refresh", json={"refresh_token": _CANARIES["password"]})
    await http.get("/v1/me", headers={"authorization": f"Bearer {_CANARIES['password']}"})
    data_url = f"data:image/png;base64,{_CANARIES['file']}"
    image = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": data_url}}]}]
    await http.post("/v1/chat/completions", json={"model": "talker", "messages": image})


async def _fail_without_history(http: httpx.AsyncClient, stack: Stack) -> None:
    await stack.children["history"].kill()
    body = {"model": "talker", "input": _CANARIES["prompt"]}
    assert (await http.post("/v1/responses", json=body)).status_code == 503
    await stack.children["history"].start()
    await stack.children["history"].wait_ready(timeout_seconds=30)


async def _metrics(stack: Stack) -> dict[str, str]:
    metrics = {}
    async with httpx.AsyncClient() as http:
        for name in _SERVICES:
            lines = [json.loads(line) for line in stack.children[name].log.read_text().splitlines() if line[:1] == "{"]
            port = next(line["metrics_port"] for line in reversed(lines) if line["message"] == "listening")
            metrics[name] = (await http.get(f"http://127.0.0.1:{port}/metrics")).text
            assert re.search(r"^(grpc_server_handled|rostra_gateway_requests)_total", metrics[name], re.MULTILINE)
    return metrics


async def _stop(stack: Stack) -> None:
    """Let every service end in order, which sends the last spans."""
    for name in _SERVICES:
        await stack.children[name].stop(timeout_seconds=20)
