"""The process: it starts by itself, serves, and ends in order."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

ADDRESSES = {"ROSTRA_CHAT_HISTORY__TARGET": "127.0.0.1:1", "ROSTRA_CHAT_USER__TARGET": "127.0.0.1:1"}


async def start(**environment: str) -> asyncio.subprocess.Process:
    known: Mapping[str, str] = {key: value for key, value in os.environ.items() if not key.startswith("OPENAI_")}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "rostra_chat", stderr=asyncio.subprocess.PIPE, env={**known, **ADDRESSES, **environment}
    )


async def test_process_becomes_ready_without_anything_and_ends_in_order() -> None:
    process = await start(ROSTRA_CHAT_REDIS__URL="redis://127.0.0.1:1/0")
    assert process.stderr is not None
    messages = []
    async with asyncio.timeout(30):
        while "ready" not in messages:
            line = json.loads(await process.stderr.readline())
            messages.append(line["message"])
        process.send_signal(signal.SIGTERM)
        rest = await process.stderr.read()
        assert await process.wait() == 0
    assert json.loads(rest.splitlines()[-1])["message"] == "stopped"


async def test_wrong_catalogue_ends_the_process_and_is_named(tmp_path: Path) -> None:
    file = tmp_path / "models.yaml"
    file.write_text("models: [{id: a, provider: b, create_time: 2026-01-01, colour: red}]")
    process = await start(ROSTRA_CHAT_CATALOGUE_FILE=str(file))
    async with asyncio.timeout(30):
        _, errors = await process.communicate()
    assert process.returncode
    assert str(file).encode() in errors
    assert b"colour" in errors
