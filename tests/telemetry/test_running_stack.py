"""A running stack tells of itself what docs/telemetry.md says, and no more: metrics, spans and log lines."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import pytest_asyncio
from prometheus_client.metrics_core import Metric

from rostra_stack.stack import Stack
from support.observed_stack import SERVICES, log_lines, number_of_series, scrape, scrape_all
from support.provider import ScriptedProvider
from support.stack import Account, eventually, own_stack, register
from support.telemetry_document import documented_lines, documented_metrics, documented_spans
from support.trace_receiver import ReceivedSpan, TraceReceiver, trace_receiver

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

# Metrics of what an embedded stack does not have: certificates, DocumentDB.
_ELSEWHERE = re.compile("rostra_certificate_.*|rostra_history_database_.*")
_CLIENT_TRACE = "0af7651916cd43dd8448eb211c80319c"
_CLIENT_SPAN = "b7ad6b7169203331"
_ROUNDS = 10
_TRACEPARENT = f"00-{_CLIENT_TRACE}-{_CLIENT_SPAN}-01"

# Which span has which parent: what a request is made of, hop by hop.
SERVICE_EDGES = [
    ("gateway: POST /v1/responses", "gateway: rostra.chat.v1.ChatService/CreateResponse"),
    ("gateway: POST /v1/responses", "gateway: EVALSHA"),
    ("gateway: rostra.chat.v1.ChatService/CreateResponse", "chat: rostra.chat.v1.ChatService/CreateResponse"),
    ("chat: rostra.chat.v1.ChatService/CreateResponse", "chat: EVALSHA"),
    ("chat: rostra.chat.v1.ChatService/CreateResponse", "chat: chat ok"),
    (
        "chat: rostra.chat.v1.ChatService/CreateResponse",
        "chat: rostra.history.v1.HistoryService/CreateResponse",
    ),
    (
        "chat: rostra.history.v1.HistoryService/CreateResponse",
        "history: rostra.history.v1.HistoryService/CreateResponse",
    ),
    ("history: rostra.history.v1.HistoryService/CreateResponse", "history: transaction"),
    ("gateway: POST /v1/chat/completions", "gateway: rostra.chat.v1.ChatService/StreamChatCompletion"),
    ("chat: rostra.chat.v1.ChatService/StreamChatCompletion", "chat: chat ok"),
    ("gateway: POST /v1/auth/register", "gateway: rostra.user.v1.UserService/CreateUser"),
    ("gateway: rostra.user.v1.UserService/CreateUser", "user: rostra.user.v1.UserService/CreateUser"),
    ("user: rostra.user.v1.UserService/CreateUser", "user: INSERT"),
    ("chat: run response", "chat: chat ok"),
    ("chat: run response", "chat: rostra.history.v1.HistoryService/FinishResponse"),
    ("user: process rostra:usage", "user: INSERT"),
    ("user: process rostra:usage", "user: MULTI"),
]


@dataclass(frozen=True, slots=True)
class Observed:
    """A stack that was used, and what it told by then."""

    stack: Stack
    account: Account
    answers: dict[str, httpx.Response]
    receiver: TraceReceiver
    metrics: dict[str, dict[str, Metric]] = field(default_factory=dict)
    lines: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    spans: list[ReceivedSpan] = field(default_factory=list)

    @property
    def base_url(self) -> str:
        return self.stack.gateway_urls[0]

    def one(self, is_wanted: Callable[[ReceivedSpan], bool]) -> ReceivedSpan:
        (found,) = [span for span in self.spans if is_wanted(span)]
        return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def observed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Observed]:
    folder = tmp_path_factory.mktemp("telemetry")
    provider = ScriptedProvider(models=("ok", "status-500", "close-mid-stream"))
    async with provider, trace_receiver(folder / "spans") as receiver:
        environment = {f"ROSTRA_{service.upper()}_LOG_LEVEL": "debug" for service in SERVICES} | {
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
            "OTEL_BSP_SCHEDULE_DELAY": "50",
            "OTEL_TRACES_SAMPLER": "parentbased_always_on",
        }
        async with own_stack(folder / "stack", provider=provider, environment=environment) as stack:
            account = await asyncio.to_thread(register, stack.gateway_urls[0])
            observed = Observed(stack, account, await _use(stack.gateway_urls[0], account), receiver)
            await _take_in(observed)
            yield observed


async def _use(base_url: str, account: Account) -> dict[str, httpx.Response]:
    """Do one of each, and return the answers."""
    chat = {"model": "ok", "messages": [{"role": "user", "content": "Hello!"}]}
    response = {"model": "ok", "input": "Hello!"}
    async with httpx.AsyncClient(base_url=base_url, headers=account.key, timeout=30) as http:

        async def post(path: str, body: object, **headers: str) -> httpx.Response:
            return await http.post(f"/v1/{path}", json=body, headers=headers)

        answers = {
            "completion": await post("chat/completions", {**chat, "store": True}),
            "stream": await post("chat/completions", {**chat, "stream": True}),
            "response": await post("responses", response, traceparent=_TRACEPARENT),
            "failed": await post("chat/completions", {**chat, "model": "status-500"}),
            "broken": await post("chat/completions", {**chat, "model": "close-mid-stream", "stream": True}),
            "unknown": await post("chat/completions", {**chat, "model": "nobody-knows-it"}),
            "background": await post("responses", {**response, "background": True}),
            "conversation": await post("conversations", {"items": [{"role": "user", "content": "Hello!"}]}),
            "nowhere": await http.get("/v1/nowhere"),
        }
        background = answers["background"].json()["id"]
        following = await http.get(f"/v1/responses/{background}", params={"stream": "true"})
        assert "response.completed" in following.text
    return answers


async def _take_in(observed: Observed) -> None:
    """Wait until all that the requests led to is told, then keep it."""

    async def is_told() -> bool:
        observed.spans[:] = observed.receiver.spans()
        requests = [span for span in observed.spans if span.service == "gateway" and span.kind == "server"]
        runs = {span.trace_id for span in observed.spans if span.name == "run response"}
        causes = _causes(observed.spans, of="process rostra:usage")
        # Two to become somebody, one each that was kept, one that followed; and what comes last: the run's bill.
        return len(requests) >= len(observed.answers) + 3 and len(runs) == 1 and runs < causes

    await eventually(is_told, within_seconds=30)
    observed.metrics.update(await scrape_all(observed.stack))
    observed.lines.update({service: log_lines(observed.stack.children[service]) for service in SERVICES})


async def test_every_service_emits_the_metrics_of_the_document_and_no_other(observed: Observed) -> None:
    documented = documented_metrics(everywhere=frozenset(SERVICES))
    for service in SERVICES:
        emitted = {_exposed(family) for family in observed.metrics[service].values()}
        wanted = {name for name, row in documented.items() if service in row.services}
        assert emitted - wanted == set(), service
        assert {name for name in wanted - emitted if not _ELSEWHERE.fullmatch(name)} == set(), service


async def test_metrics_have_the_types_and_labels_of_the_document(observed: Observed) -> None:
    documented = documented_metrics(everywhere=frozenset(SERVICES))
    for families in observed.metrics.values():
        for family in families.values():
            row = documented[_exposed(family)]
            assert row.kind in ("", family.type), family.name
            for sample in family.samples:
                assert set(sample.labels) - {"le"} == row.labels, sample


async def test_spans_are_those_of_the_document(observed: Observed) -> None:
    rows = documented_spans()
    for span in observed.spans:
        fitting = [row for row in rows if span.service in row.services and row.kind == span.kind]
        assert any(set(span.attributes) <= row.attributes for row in fitting), f"{span}: {span.attributes}"
    made = {(span.service, span.kind) for span in observed.spans}
    assert made == {(service, row.kind) for row in rows for service in row.services}


@pytest.mark.parametrize(("parent", "child"), SERVICE_EDGES)
async def test_span_is_the_child_of_what_led_to_it(observed: Observed, parent: str, child: str) -> None:
    by_id = {span.span_id: span for span in observed.spans}
    edges = {
        (f"{above.service}: {above.name}", f"{span.service}: {span.name}")
        for span in observed.spans
        if (above := by_id.get(span.parent_id)) is not None
    }
    assert (parent, child) in edges


async def test_request_is_one_trace_which_joins_the_clients(observed: Observed) -> None:
    answer = observed.answers["response"]
    version, trace_id, span_id, flags = answer.headers["traceparent"].split("-")
    assert (version, trace_id, int(flags, 16) & 1) == ("00", _CLIENT_TRACE, 1)
    request = observed.one(lambda span: span.span_id == span_id)
    assert (request.name, request.parent_id) == ("POST /v1/responses", _CLIENT_SPAN)
    assert request.attributes["rostra.request.id"] == answer.headers["x-request-id"]
    assert {span.service for span in observed.spans if span.trace_id == trace_id} == {"gateway", "chat", "history"}


async def test_each_request_without_a_trace_begins_one(observed: Observed) -> None:
    requests = [span for span in observed.spans if span.service == "gateway" and span.kind == "server"]
    assert len({span.trace_id for span in requests}) == len(requests)
    by_id = {span.span_id for span in observed.spans}
    orphans = [str(span) for span in observed.spans if span.parent_id and span.parent_id not in by_id]
    assert orphans == ["gateway: POST /v1/responses (server)"], "all others know their parents"


async def test_background_work_links_to_what_caused_it(observed: Observed) -> None:
    queued = observed.answers["background"].headers["traceparent"].split("-")[1]
    run = observed.one(lambda span: span.name == "run response")
    by_id = {span.span_id: span for span in observed.spans}
    assert [by_id[link].trace_id for link in run.links] == [queued]
    assert run.trace_id != queued
    assert run.attributes["rostra.response.id"] == observed.answers["background"].json()["id"]
    causes = _causes(observed.spans, of="process rostra:usage")
    assert {run.trace_id, _CLIENT_TRACE, observed.answers["stream"].headers["traceparent"].split("-")[1]} <= causes


async def test_models_call_is_described_in_the_conventions_words(observed: Observed) -> None:
    trace_id = observed.answers["stream"].headers["traceparent"].split("-")[1]
    call = observed.one(lambda span: span.trace_id == trace_id and span.name == "chat ok")
    usage = observed.answers["completion"].json()["usage"]
    assert call.kind == "client"
    assert call.attributes["gen_ai.operation.name"] == "chat"
    assert call.attributes["gen_ai.provider.name"] == "openai"
    assert call.attributes["gen_ai.request.model"] == "ok"
    assert call.attributes["gen_ai.usage.input_tokens"] == usage["prompt_tokens"]
    assert call.attributes["gen_ai.usage.output_tokens"] == usage["completion_tokens"]
    assert call.attributes["gen_ai.response.time_to_first_chunk"] > 0


async def test_failures_are_marked_where_they_happened(observed: Observed) -> None:
    trace_id = observed.answers["failed"].headers["traceparent"].split("-")[1]
    failed = {str(span) for span in observed.spans if span.trace_id == trace_id and span.is_failed}
    assert "chat: chat status-500 (client)" in failed
    assert "gateway: POST /v1/chat/completions (server)" in failed
    errors = [
        line for line in observed.lines["chat"] if line.get("trace_id") == trace_id and line["level"] == "WARNING"
    ]
    assert errors, "no line of the error names its trace"


async def test_lines_have_the_fields_of_the_document(observed: Observed) -> None:
    always = {"time", "level", "logger", "service", "message", "request_id", "trace_id"}
    for message, (services, fields) in documented_lines().items():
        for service in services:
            found = [line for line in observed.lines[service] if line["message"] == message]
            assert found, f"{service} never says {message!r}"
            assert set().union(*found) - always <= fields
        assert set().union(*(line for s in services for line in observed.lines[s] if line["message"] == message)) >= (
            fields
        ), message


async def test_request_has_one_line_with_what_it_took(observed: Observed) -> None:
    answer = observed.answers["stream"]
    request_id = answer.headers["x-request-id"]
    (line,) = [line for line in observed.lines["gateway"] if line.get("request_id") == request_id]
    usage = observed.answers["completion"].json()["usage"]
    assert (line["user_id"], line["key_id"]) == (observed.account.user_id, observed.account.api_key_id)
    assert (line["model"], line["provider"], line["status"]) == ("ok", "openai", 200)
    assert (line["input_tokens"], line["output_tokens"]) == (usage["prompt_tokens"], usage["completion_tokens"])
    assert 0 < line["first_token_seconds"] <= line["first_byte_seconds"] <= line["seconds"]
    assert line["trace_id"] == answer.headers["traceparent"].split("-")[1]


async def test_latencies_point_at_traces(observed: Observed) -> None:
    families = await scrape(observed.stack.children["gateway"], as_openmetrics=True)
    samples = families["rostra_gateway_request_seconds"].samples
    traces = {sample.exemplar.labels["trace_id"] for sample in samples if sample.exemplar}
    assert traces
    assert traces <= {span.trace_id for span in observed.receiver.spans()}


async def test_users_are_counted(observed: Observed) -> None:
    async def is_counted() -> bool:
        families = await scrape(observed.stack.children["gateway"])
        told = {sample.labels["window"]: sample.value for sample in families["rostra_gateway_active_users"].samples}
        return told == {"15m": 1, "24h": 1}

    await eventually(is_counted, within_seconds=30)


async def test_what_clients_make_up_makes_no_series(observed: Observed) -> None:
    async with httpx.AsyncClient(base_url=observed.base_url, headers=observed.account.key, timeout=30) as http:
        await _make_up(http, "first")
        before = {service: number_of_series(found) for service, found in (await scrape_all(observed.stack)).items()}
        for number in range(_ROUNDS):
            await _make_up(http, f"madeup-{number}")
        after = await scrape_all(observed.stack)
    for service, families in after.items():
        # Slowness may bring another code of an RPC, or another refusal; names would bring a series each.
        assert number_of_series(families) - before[service] < _ROUNDS, service
        assert "madeup" not in str(families), service


async def _make_up(http: httpx.AsyncClient, word: str) -> None:
    """Send names that nobody knows wherever one can be sent."""
    chat = {"model": word, "messages": [{"role": "user", "content": word}]}
    for stream in (False, True):
        await http.post("/v1/chat/completions", json={**chat, "stream": stream})
        await http.post("/v1/responses", json={"model": word, "input": word, "stream": stream})
    await http.request(f"X{word.upper().replace('-', 'Y')}", "/v1/models")
    for path in (word, f"v1/{word}", f"v1/conversations/conv_{word}", f"v1/responses/resp_{word}", f"v1/models/{word}"):
        await http.get(f"/{path}", headers={"traceparent": f"00-{hash(word) & (2**128 - 1):032x}-{1:016x}-00"})
    await http.get("/v1/me", headers={"authorization": f"Bearer {word}"})
    await http.post("/v1/conversations", content=json.dumps({word: word}), headers={"idempotency-key": word})


def _causes(spans: list[ReceivedSpan], *, of: str) -> set[str]:
    """Return the traces to which spans of that name link."""
    by_id = {span.span_id: span for span in spans}
    return {by_id[link].trace_id for span in spans if span.name == of for link in span.links if link in by_id}


def _exposed(family: Metric) -> str:
    """Return the name by which a family is queried."""
    return f"{family.name}_total" if family.type == "counter" else family.name
