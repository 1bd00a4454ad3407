"""The service as a process: it serves, and ends in order."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc


async def test_process_serves_until_it_is_asked_to_end(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ROSTRA_")}
    environment["ROSTRA_HISTORY_DATABASE__URL"] = f"sqlite:///{tmp_path}/history.db"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "rostra_history", env=environment, stderr=asyncio.subprocess.PIPE
    )
    port = None
    while line := await process.stderr.readline():
        entry = json.loads(line)
        port = entry.get("port", port)
        if entry["message"] == "ready":
            break
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    process.send_signal(signal.SIGTERM)
    await process.communicate()
    assert process.returncode == 0
