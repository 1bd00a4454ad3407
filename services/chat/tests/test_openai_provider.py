"""The OpenAI-compatible provider against a scripted one: what passes untouched, and what each trouble becomes."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from pydantic import SecretStr

from rostra_chat.catalogue import Model
from rostra_chat.providers.openai import OpenAIProvider
from rostra_chat.providers.provider import Frame
from rostra_chat.settings import ProviderSettings
from rostra_kit.errors import AppError
from rostra_kit.status import reason_name
from support.provider import ScriptedProvider, closed_port
from support.provider_failure import Failure
from support.provider_reply import GREETING, numbered_text
from support.provider_script import refuse

TIMEOUTS = ProviderSettings(first_byte_timeout_seconds=1, idle_timeout_seconds=1, answer_timeout_seconds=1)
FIRST_WORDS = "The rostra carried "


@pytest.fixture
async def openai(provider: ScriptedProvider) -> AsyncIterator[OpenAIProvider]:
    async with OpenAIProvider.open(
        base_url=provider.base_url, api_key=SecretStr("sk-upstream"), settings=TIMEOUTS
    ) as opened:
        yield opened


def model(upstream_name: str) -> Model:
    return Model(id="public", provider="openai", upstream_name=upstream_name, create_time=datetime.now(UTC))


def body(**parameters: Any) -> dict[str, Any]:
    return {"model": "public", "messages": [{"role": "user", "content": "Hello"}], **parameters}


async def frames_of(openai: OpenAIProvider, name: str, **parameters: Any) -> list[Frame]:
    async with aclosing(openai.stream(model(name), body(**parameters))) as batches:
        return [frame async for batch in batches for frame in batch]


def text_of(frames: list[Frame]) -> str:
    choices = [choice for frame in frames for choice in frame.data["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


async def test_whole_answer_comes_parsed_and_raw(openai: OpenAIProvider, provider: ScriptedProvider) -> None:
    completion, raw = await openai.complete(model("ok"), body(x_new_parameter={"deep": [1]}, seed=7))
    assert completion["choices"][0]["message"]["content"] == GREETING
    assert json.loads(raw) == completion
    sent = provider.chats[0]
    assert sent.headers["Authorization"] == "Bearer sk-upstream"
    assert sent.body == body(model="ok", stream=False, x_new_parameter={"deep": [1]}, seed=7)


async def test_stream_yields_every_chunk_and_the_usage(openai: OpenAIProvider, provider: ScriptedProvider) -> None:
    frames = await frames_of(openai, "ok", stream=True, stream_options={"include_obfuscation": False})
    assert text_of(frames) == GREETING
    assert frames[-1].data["usage"]["completion_tokens"] == len(GREETING.split())
    assert provider.chats[0].body["stream_options"] == {"include_obfuscation": False, "include_usage": True}


async def test_frames_are_the_wires_bytes(openai: OpenAIProvider) -> None:
    for frame in await frames_of(openai, "ok"):
        assert frame.raw.startswith(b"data: {")
        assert frame.raw.endswith(b"}\n\n")
        assert json.loads(frame.raw.removeprefix(b"data: ")) == frame.data


async def test_awkward_wire_gives_plain_frames(openai: OpenAIProvider) -> None:
    frames = await frames_of(openai, "unknown-fields")
    assert text_of(frames) == "Ça marche déjà à Rome, naïvement 🏛️ — voilà."
    assert all(b"\r" not in frame.raw and frame.data["x_vendor"] for frame in frames)


async def test_huge_frame_is_whole(openai: OpenAIProvider) -> None:
    assert len(text_of(await frames_of(openai, "huge"))) == 5_000_000


async def test_chunks_that_come_together_are_one_batch(openai: OpenAIProvider) -> None:
    async with aclosing(openai.stream(model("many-fast"), body())) as batches:
        sizes = [len(batch) async for batch in batches]
    assert len(sizes) < 10
    assert sum(sizes) == 53


async def test_end_without_done_is_fine_when_every_choice_finished(openai: OpenAIProvider) -> None:
    assert text_of(await frames_of(openai, "no-done", n=2)).count("rostra") == 2


async def test_closing_the_stream_ends_the_call(openai: OpenAIProvider, provider: ScriptedProvider) -> None:
    async with aclosing(openai.stream(model("ok-1000-10"), body())) as batches:
        await anext(batches)
    await provider.wait_for_cancelled(1)


async def test_cancelling_a_whole_answer_ends_the_call(openai: OpenAIProvider, provider: ScriptedProvider) -> None:
    task = asyncio.create_task(openai.complete(model("ok-1000-10"), body()))
    await provider.wait_for_chats(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await provider.wait_for_cancelled(1)


STATUSES = [
    ("status-400", "INVALID_ARGUMENT", "PROVIDER_REJECTED", None),
    ("status-401", "UNAVAILABLE", "PROVIDER_UNAUTHORIZED", None),
    ("status-403", "UNAVAILABLE", "PROVIDER_UNAUTHORIZED", None),
    ("status-404", "NOT_FOUND", "MODEL_NOT_FOUND", None),
    ("status-413", "INVALID_ARGUMENT", "REQUEST_TOO_LARGE", None),
    ("status-422", "INVALID_ARGUMENT", "UNPROCESSABLE", None),
    ("status-429", "RESOURCE_EXHAUSTED", "PROVIDER_RATE_LIMITED", 7),
    ("status-429-quota", "UNAVAILABLE", "PROVIDER_UNAVAILABLE", None),
    ("status-500", "INTERNAL", "PROVIDER_ERROR", None),
    ("status-502", "UNAVAILABLE", "PROVIDER_UNAVAILABLE", 1),
    ("status-503", "UNAVAILABLE", "PROVIDER_UNAVAILABLE", 1),
    ("status-504", "DEADLINE_EXCEEDED", "PROVIDER_TIMEOUT", None),
    ("status-529", "UNAVAILABLE", "PROVIDER_UNAVAILABLE", 1),
    ("status-418", "INTERNAL", "PROVIDER_ERROR", None),
    ("not-json", "INTERNAL", "PROVIDER_ERROR", None),
    ("stall-first-byte", "DEADLINE_EXCEEDED", "PROVIDER_TIMEOUT", None),
    ("stall-after-headers", "DEADLINE_EXCEEDED", "PROVIDER_TIMEOUT", None),
    ("close-first-byte", "INTERNAL", "PROVIDER_ERROR", None),
]
ONLY_WHOLE = [
    ("close-mid-body", "INTERNAL", "PROVIDER_ERROR", None),
    ("broken-chunk", "INTERNAL", "PROVIDER_ERROR", None),
]


def check(error: AppError, code: str, reason: str, retry_after: float | None) -> None:
    assert (error.code, reason_name(error.reason)) == (grpc.StatusCode[code], reason)
    assert error.retry_after_seconds == retry_after


@pytest.mark.parametrize(("name", "code", "reason", "retry_after"), [*STATUSES, *ONLY_WHOLE])
async def test_trouble_with_a_whole_answer_has_its_error(
    openai: OpenAIProvider, provider: ScriptedProvider, name: str, code: str, reason: str, retry_after: float | None
) -> None:
    with pytest.raises(AppError) as caught:
        await openai.complete(model(name), body())
    check(caught.value, code, reason, retry_after)
    assert len(provider.chats) == 1


@pytest.mark.parametrize(("name", "code", "reason", "retry_after"), STATUSES)
async def test_trouble_before_the_first_frame_has_its_error(
    openai: OpenAIProvider, provider: ScriptedProvider, name: str, code: str, reason: str, retry_after: float | None
) -> None:
    with pytest.raises(AppError) as caught:
        await frames_of(openai, name)
    check(caught.value, code, reason, retry_after)
    assert len(provider.chats) == 1


@pytest.mark.parametrize(
    ("name", "code", "reason"),
    [
        ("stall-mid-stream", "DEADLINE_EXCEEDED", "PROVIDER_TIMEOUT"),
        ("broken-chunk", "INTERNAL", "PROVIDER_ERROR"),
        ("close-mid-stream", "INTERNAL", "PROVIDER_ERROR"),
        ("close-mid-body", "INTERNAL", "PROVIDER_ERROR"),
        ("error-mid-stream", "INTERNAL", "PROVIDER_ERROR"),
    ],
)
async def test_trouble_in_the_midst_comes_after_what_was_said(
    openai: OpenAIProvider, name: str, code: str, reason: str
) -> None:
    frames: list[Frame] = []
    with pytest.raises(AppError) as caught:
        async for batch in openai.stream(model(name), body()):
            frames += batch
    check(caught.value, code, reason, None)
    assert text_of(frames) == FIRST_WORDS


async def test_error_in_the_midst_is_told_in_the_providers_words(openai: OpenAIProvider) -> None:
    with pytest.raises(AppError, match="currently overloaded"):
        await frames_of(openai, "error-mid-stream")


async def test_refusal_carries_the_providers_message_param_and_code(openai: OpenAIProvider) -> None:
    with pytest.raises(AppError, match="maximum context length is 8192") as caught:
        await openai.complete(model("status-400-context"), body())
    assert caught.value.param == "messages"
    assert caught.value.metadata == {"code": "context_length_exceeded"}


async def test_unknown_model_is_told_by_its_public_name(openai: OpenAIProvider) -> None:
    with pytest.raises(AppError, match="`public`") as caught:
        await openai.complete(model("status-404"), body())
    assert caught.value.param == "model"


async def test_words_about_the_key_stay_inside(openai: OpenAIProvider, provider: ScriptedProvider) -> None:
    provider.program("leaky", refuse(Failure(status=401, message="Incorrect API key provided: sk-upstream.")))
    with pytest.raises(AppError) as caught:
        await openai.complete(model("leaky"), body())
    assert "sk-" not in caught.value.message


@pytest.mark.parametrize(("value", "seconds"), [("12", 12), ("soon", 1), ("Thu, 01 Jan 1970 00:00:00 GMT", 1)])
async def test_retry_after_is_read_in_every_form(
    openai: OpenAIProvider, provider: ScriptedProvider, value: str, seconds: float
) -> None:
    provider.program("limited", refuse(Failure(status=429, message="Slow.", headers={"Retry-After": value})))
    with pytest.raises(AppError) as caught:
        await openai.complete(model("limited"), body())
    assert caught.value.retry_after_seconds == seconds


@pytest.mark.parametrize(
    "base_url",
    [f"http://127.0.0.1:{closed_port()}/v1", "http://nowhere.invalid/v1"],
    ids=["nothing listens", "no such host"],
)
async def test_unreachable_provider_is_unavailable(base_url: str) -> None:
    # A resolver may take its time to say that there is no such host.
    patient = ProviderSettings(first_byte_timeout_seconds=30, answer_timeout_seconds=30, connect_timeout_seconds=30)
    async with OpenAIProvider.open(base_url=base_url, api_key=None, settings=patient) as unreachable:
        for attempt in (
            unreachable.complete(model("ok"), body()),
            frames_of(unreachable, "ok"),
            unreachable.list_models(),
        ):
            with pytest.raises(AppError) as caught:
                await attempt
            check(caught.value, "UNAVAILABLE", "PROVIDER_UNAVAILABLE", 1)


async def test_models_are_listed_under_their_own_names(openai: OpenAIProvider, provider: ScriptedProvider) -> None:
    provider.models = ["llama3:8b", "org/model"]
    models = await openai.list_models()
    assert [(each.id, each.upstream_name, each.provider) for each in models] == [
        ("llama3:8b", "llama3:8b", "openai"),
        ("org/model", "org/model", "openai"),
    ]
    assert models[0].create_time == datetime.fromtimestamp(1_700_000_000, UTC)


async def test_no_key_sends_no_authorization(provider: ScriptedProvider) -> None:
    async with OpenAIProvider.open(base_url=provider.base_url + "/", api_key=None, settings=TIMEOUTS) as keyless:
        await keyless.complete(model("ok"), body())
    assert "Authorization" not in provider.chats[0].headers


async def test_slow_words_within_the_idle_time_are_no_stall(openai: OpenAIProvider) -> None:
    assert text_of(await frames_of(openai, "ok-5-300")) == numbered_text(5)
