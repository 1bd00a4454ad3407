"""What a request's line in the log says of its model: nothing, before chat has answered."""

import asyncio
import logging
from typing import Any

import pytest

from rostra_gateway.access_log import access_fields
from rostra_gateway.exchange import Exchange
from services.gateway.tests.conftest import Services, StartGateway, connect


@pytest.mark.parametrize(
    ("status", "is_stream", "first_byte_seconds", "is_told"),
    [
        (0, False, None, False),
        (200, False, None, True),
        (404, False, None, False),
        (499, False, None, False),
        (200, True, None, False),
        (200, True, 0.1, True),
    ],
)
def test_model_is_told_once_chat_has_answered(
    status: int, is_stream: bool, first_byte_seconds: float | None, is_told: bool
) -> None:
    exchange = Exchange("req_1", "192.0.2.1", model="echo", status=status, is_stream=is_stream)
    exchange.first_byte_seconds = first_byte_seconds
    assert access_fields("POST", "/", exchange, 1.0)["model"] == ("echo" if is_told else "")


@pytest.mark.parametrize(("model", "told"), [("waits", "waits"), ("fails later", "")])
async def test_model_of_a_stream_that_begins_with_a_heartbeat_is_told_if_chat_takes_it(
    start_gateway: StartGateway, alice: str, services: Services, caplog: pytest.LogCaptureFixture, model: str, told: str
) -> None:
    def lines() -> list[dict[str, Any]]:
        return [vars(record) for record in caplog.records if record.getMessage() == "request"]

    body = {"model": model, "stream": True, "input": "x"}
    with caplog.at_level(logging.INFO, "rostra_gateway"):
        async with (
            connect(await start_gateway(heartbeat_seconds=0.05), alice) as client,
            client.stream("POST", "/v1/responses", json=body) as answer,
        ):
            pieces = answer.aiter_bytes()
            await anext(pieces)
            services.chat.proceed.set()
            async for _ in pieces:
                pass
        async with asyncio.timeout(5):
            while not lines():  # noqa: ASYNC110 - lines of a log
                await asyncio.sleep(0.01)
    assert [(line["status"], line["model"]) for line in lines()] == [(200, told)]
