"""Every parameter that OpenAI documents for responses, items and conversations: told back, carried, or refused by name.

The table is OpenAI's, and what happens here is what the gateway's README says of it.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from support.openai_error import refusal
from support.stack import Account, Journal, SharedStack

pytestmark = pytest.mark.e2e

TOOL = {"type": "function", "name": "look", "description": "Looks.", "parameters": {"type": "object"}, "strict": False}
CHAT_TOOL = {"type": "function", "function": {name: value for name, value in TOOL.items() if name != "type"}}
SCHEMA = {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True, "description": "A thing."}
INCLUDABLE = (
    *("file_search_call.results", "web_search_call.results", "web_search_call.action.sources"),
    *("message.input_image.image_url", "computer_call_output.output.image_url", "code_interpreter_call.outputs"),
    *("reasoning.encrypted_content", "message.output_text.logprobs"),
)


@dataclass(frozen=True)
class Heeded:
    """A parameter that is taken.

    Attributes:
        sent: The parameters of the request.
        told: What the response object says; what was sent, where this is `None`.
        carried: What the provider hears.
    """

    sent: Mapping[str, Any]
    told: Mapping[str, Any] | None = None
    carried: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def same(cls, **sent: Any) -> "Heeded":
        """Return parameters that are told back and carried on as they are."""
        return cls(sent, carried=sent)

    def __str__(self) -> str:
        return "+".join(f"{name}={str(value)[:24]}" for name, value in self.sent.items())


HEEDED = (
    Heeded({"background": False}),
    Heeded({"include": list(INCLUDABLE)}, told={}, carried={"logprobs": True}),
    Heeded({"input": "Hi"}, told={}, carried={"messages": [{"role": "user", "content": "Hi"}]}),
    Heeded({"instructions": "Be brief."}),
    Heeded({"max_output_tokens": 50}, carried={"max_tokens": 50}),
    Heeded({"max_tool_calls": 3}),
    Heeded({"metadata": {"topic": "greeting"}}),
    Heeded({"parallel_tool_calls": False, "tools": [TOOL]}, carried={"parallel_tool_calls": False}),
    Heeded.same(prompt_cache_key="key"),
    Heeded.same(prompt_cache_retention="24h"),
    Heeded.same(prompt_cache_options={"ttl": "30m", "mode": "implicit"}),
    Heeded({"reasoning": {"effort": "low", "summary": "auto"}}, carried={"reasoning_effort": "low"}),
    Heeded({"reasoning": {"generate_summary": "concise"}}, told={"reasoning": {"effort": None, "summary": "concise"}}),
    Heeded.same(safety_identifier="someone"),
    # What the provider says it was served as is told back.
    Heeded({"service_tier": "flex"}, told={}, carried={"service_tier": "flex"}),
    Heeded({"store": False}),
    Heeded({"stream": False, "stream_options": {"include_obfuscation": True}}, told={}),
    Heeded.same(temperature=0.5),
    Heeded.same(top_p=0.5),
    Heeded({"text": {"format": {"type": "text"}, "verbosity": "low"}}, carried={"verbosity": "low"}),
    Heeded(
        {"text": {"format": {"type": "json_object"}}},
        told={"text": {"format": {"type": "json_object"}, "verbosity": "medium"}},
        carried={"response_format": {"type": "json_object"}},
    ),
    Heeded(
        {"text": {"format": SCHEMA}},
        told={"text": {"format": SCHEMA, "verbosity": "medium"}},
        carried={
            "response_format": {
                "type": "json_schema",
                "json_schema": {name: value for name, value in SCHEMA.items() if name != "type"},
            }
        },
    ),
    Heeded({"tools": [TOOL]}, carried={"tools": [CHAT_TOOL], "tool_choice": "auto"}),
    *(
        Heeded({"tools": [TOOL], "tool_choice": mode}, carried={"tool_choice": mode})
        for mode in ("none", "auto", "required")
    ),
    Heeded(
        {"tools": [TOOL], "tool_choice": {"type": "function", "name": "look"}},
        carried={"tool_choice": {"type": "function", "function": {"name": "look"}}},
    ),
    Heeded(
        {
            "tools": [TOOL, {**TOOL, "name": "leap"}],
            "tool_choice": {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "look"}],
            },
        },
        carried={"tools": [CHAT_TOOL], "tool_choice": "required"},
    ),
    Heeded({"top_logprobs": 2}, carried={"logprobs": True, "top_logprobs": 2}),
    Heeded({"truncation": "auto"}),
    Heeded({"truncation": "disabled"}),
    Heeded.same(user="someone"),
    Heeded({"unknown_parameter": {"of": "tomorrow"}}, told={}),
)

WRONG = {
    "background": ("yes", "background"),
    "context_management": ([{"type": "compaction", "compact_threshold": 1000}], "context_management"),
    "conversation": (5, "conversation"),
    "include": (["everything"], "include[0]"),
    "input": (5, "input"),
    "instructions": (5, "instructions"),
    "max_output_tokens": (0, "max_output_tokens"),
    "max_tool_calls": ("3", "max_tool_calls"),
    "metadata": ({"topic": 5}, "metadata.topic"),
    "model": (None, "model"),
    "moderation": ({"model": "omni-moderation-latest"}, "moderation"),
    "parallel_tool_calls": ("no", "parallel_tool_calls"),
    "previous_response_id": (5, "previous_response_id"),
    "prompt": ({"id": "pmpt_1"}, "prompt"),
    "prompt_cache_key": (5, "prompt_cache_key"),
    "prompt_cache_retention": ("forever", "prompt_cache_retention"),
    "prompt_cache_options": ("30m", "prompt_cache_options"),
    "reasoning": ({"summary": "long"}, "reasoning.summary"),
    "safety_identifier": (5, "safety_identifier"),
    "service_tier": (5, "service_tier"),
    "store": ("no", "store"),
    "stream": ("yes", "stream"),
    "temperature": (3, "temperature"),
    "text": ({"format": {"type": "xml"}}, "text.format.type"),
    "tool_choice": ({"type": "web_search_preview"}, "tool_choice.type"),
    "tools": ([{"type": "web_search"}], "tools[0].type"),
    "top_logprobs": (21, "top_logprobs"),
    "top_p": (2, "top_p"),
    "truncation": ("middle", "truncation"),
    "user": (5, "user"),
}


@pytest.fixture
async def http(stack: SharedStack, account: Account) -> AsyncIterator[httpx.AsyncClient]:
    """Yield the account's client of a gateway."""
    async with httpx.AsyncClient(base_url=stack.gateway_urls[0], headers=account.key, timeout=30) as http:
        yield http


@pytest.mark.parametrize("case", HEEDED, ids=str)
async def test_parameter_is_told_back_and_carried_on(http: httpx.AsyncClient, journal: Journal, case: Heeded) -> None:
    answer = await http.post("/v1/responses", json={"model": "ok", "input": "Hello", **case.sent})
    assert answer.status_code == 200, answer.text
    told = case.sent if case.told is None else case.told
    assert {name: answer.json()[name] for name in told} == told
    assert {name: journal.last.get(name) for name in case.carried} == case.carried


@pytest.mark.parametrize("name", WRONG)
async def test_what_cannot_be_heeded_is_refused_by_name(http: httpx.AsyncClient, journal: Journal, name: str) -> None:
    value, param = WRONG[name]
    for stream in (False, True):
        answer = await http.post("/v1/responses", json={"model": "ok", "input": "Hi", "stream": stream, name: value})
        assert refusal(answer, 400)["param"] == param
    assert journal.bodies == []


@pytest.mark.parametrize("context", ["previous_response_id", "conversation", "conversation object"])
async def test_what_is_continued_is_told_back(http: httpx.AsyncClient, context: str) -> None:
    response_id = (await http.post("/v1/responses", json={"model": "ok", "input": "Hello"})).json()["id"]
    conversation_id = (await http.post("/v1/conversations")).json()["id"]
    sent, told = {
        "previous_response_id": ({"previous_response_id": response_id}, {"previous_response_id": response_id}),
        "conversation": ({"conversation": conversation_id}, {"conversation": {"id": conversation_id}}),
        "conversation object": ({"conversation": {"id": conversation_id}}, {"conversation": {"id": conversation_id}}),
    }[context]
    response = (await http.post("/v1/responses", json={"model": "ok", "input": "Hello", **sent})).json()
    assert {name: response[name] for name in told} == told


@pytest.mark.parametrize("include", ["include", "include[]"])
async def test_include_is_accepted_wherever_openai_has_it(http: httpx.AsyncClient, include: str) -> None:
    query = [(include, name) for name in INCLUDABLE]
    item = {"role": "user", "content": [{"type": "input_image", "image_url": "data:image/png;base64,AA"}]}
    response = (await http.post("/v1/responses", json={"model": "ok", "input": [item]})).json()
    conversation = (await http.post("/v1/conversations", json={"items": [item]})).json()
    items = f"/v1/conversations/{conversation['id']}/items"
    created = await http.post(items, json={"items": [item]}, params=query)
    for path in (f"/v1/responses/{response['id']}", f"/v1/responses/{response['id']}/input_items", items):
        assert (await http.get(path, params=query)).status_code == 200
    found = await http.get(f"{items}/{created.json()['first_id']}", params=query)
    # It is answered whether it was asked for or not.
    for given in (created.json()["data"][0], found.json()):
        assert given["content"][0]["image_url"] == "data:image/png;base64,AA"


@pytest.mark.parametrize(
    ("query", "texts", "has_more"),
    [
        ({}, ["2", "1", "0"], False),
        ({"order": "asc"}, ["0", "1", "2"], False),
        ({"order": "asc", "limit": 2}, ["0", "1"], True),
        ({"order": "desc", "limit": 1, "after": 2}, ["1"], True),
        ({"order": "asc", "limit": 100, "after": 1}, ["2"], False),
    ],
)
async def test_lists_of_items_are_paged_as_asked(
    http: httpx.AsyncClient, query: dict[str, Any], texts: list[str], has_more: bool
) -> None:
    given = [{"role": "user", "content": str(number)} for number in range(3)]
    conversation = (await http.post("/v1/conversations", json={"items": given})).json()
    response = (await http.post("/v1/responses", json={"model": "ok", "input": given})).json()
    for path in (f"/v1/conversations/{conversation['id']}/items", f"/v1/responses/{response['id']}/input_items"):
        everything = (await http.get(path, params={"order": "asc"})).json()["data"]
        after = {"after": everything[query["after"]]["id"]} if "after" in query else {}
        page = (await http.get(path, params=query | after)).json()
        assert [item["content"][0]["text"] for item in page["data"]] == texts
        assert (page["object"], page["has_more"]) == ("list", has_more)
        assert (page["first_id"], page["last_id"]) == (page["data"][0]["id"], page["data"][-1]["id"])


@pytest.mark.parametrize(
    ("path", "param"), [("limit=0", "limit"), ("limit=101", "limit"), ("order=up", "order"), ("after=none", "after")]
)
async def test_pages_that_cannot_be_are_refused_by_name(http: httpx.AsyncClient, path: str, param: str) -> None:
    conversation = (await http.post("/v1/conversations")).json()
    response = (await http.post("/v1/responses", json={"model": "ok", "input": "Hi"})).json()
    for listed in (f"/v1/conversations/{conversation['id']}/items", f"/v1/responses/{response['id']}/input_items"):
        assert refusal(await http.get(f"{listed}?{path}"), 400)["param"] == param


async def test_metadata_of_conversations_is_kept_replaced_and_bounded(http: httpx.AsyncClient) -> None:
    created = (await http.post("/v1/conversations", json={"metadata": {"a": "1", "b": "2"}})).json()
    path = f"/v1/conversations/{created['id']}"
    assert created["metadata"] == {"a": "1", "b": "2"}
    updated = (await http.post(path, json={"metadata": {"c": "3"}})).json()
    assert updated["metadata"] == (await http.get(path)).json()["metadata"] == {"c": "3"}
    for body in (
        {"metadata": {"k" * 65: "v"}},
        {"metadata": {"k": "v" * 513}},
        {"metadata": dict.fromkeys(map(str, range(17)), "v")},
    ):
        for target in ("/v1/conversations", path):
            assert refusal(await http.post(target, json=body), 400)["param"].startswith("metadata")


@pytest.mark.parametrize("count", [0, 1, 20, 21])
async def test_items_come_twenty_at_a_time(http: httpx.AsyncClient, count: int) -> None:
    items = [{"role": "user", "content": str(number)} for number in range(count)]
    conversation = (await http.post("/v1/conversations")).json()
    answer = await http.post(f"/v1/conversations/{conversation['id']}/items", json={"items": items})
    if 1 <= count <= 20:
        assert len(answer.json()["data"]) == count
    else:
        assert refusal(answer, 400)["param"] == "items"
