"""One process of the stack: started, watched until it is ready, ended."""

import asyncio
import ctypes
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from rostra_stack.plan import ProcessPlan

_PROBE_PAUSE_SECONDS = 0.05
_PR_SET_PDEATHSIG = 1


class ChildFailed(Exception):
    """A process ended that should not have, or did not become ready."""

    def __init__(self, child: "Child", what: str) -> None:
        super().__init__(f"{child.plan.name} {what}. Its log: {child.log}")


class Child:
    """One process of the stack. It can be killed and started again, on the same port."""

    def __init__(self, plan: ProcessPlan, logs: Path) -> None:
        self.plan = plan
        self.log = logs / f"{plan.name}.log"
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """Return the id of the running process."""
        return self._running.pid

    @property
    def is_running(self) -> bool:
        """Tell whether the process was started and has not ended."""
        return self._process is not None and self._process.returncode is None

    @property
    def _running(self) -> asyncio.subprocess.Process:
        if self._process is None:
            message = f"{self.plan.name} was not started"
            raise RuntimeError(message)
        return self._process

    async def start(self) -> None:
        """Start the process; its output goes to its log."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self.plan.command,
                env=dict(self.plan.environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C reaches the stack alone, which then ends its children in order.
                start_new_session=True,
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,
            )

    async def wait_ready(self, *, timeout_seconds: float) -> float:
        """Return after how many seconds the process was ready.

        Raises:
            ChildFailed: It ended, or was not ready in time.
        """
        started = time.monotonic()
        while not await self._is_ready():
            if self._running.returncode is not None:
                raise ChildFailed(self, f"ended with exit code {self._running.returncode} while starting")
            if time.monotonic() - started > timeout_seconds:
                raise ChildFailed(self, f"was not ready after {timeout_seconds:.0f} s")
            await asyncio.sleep(_PROBE_PAUSE_SECONDS)
        return time.monotonic() - started

    async def wait_ended(self) -> int:
        """Return the exit code when the process has ended; negative for a signal."""
        return await self._running.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if the process still runs."""
        with suppress(ProcessLookupError):
            self._running.send_signal(number)

    async def stop(self, *, timeout_seconds: float) -> int:
        """End the process in order, by force after `timeout_seconds`, and return its exit code; 0 if it never ran."""
        if self._process is None:
            return 0
        self.signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(timeout_seconds):
                return await self.wait_ended()
        except TimeoutError:
            return await self.kill()

    async def kill(self) -> int:
        """End the process with SIGKILL and return its exit code."""
        self.signal(signal.SIGKILL)
        return await self.wait_ended()

    async def _is_ready(self) -> bool:
        match self.plan.probe:
            case "grpc":
                return await self._grpc_ready()
            case "http":
                return b" 200 " in await self._exchange(b"GET /readyz HTTP/1.0\r\n\r\n")
            case "tcp":
                return b"PONG" in await self._exchange(b"*1\r\n$4\r\nPING\r\n")

    async def _grpc_ready(self) -> bool:
        async with grpc.aio.insecure_channel(
            self.plan.probe_address, options=[("grpc.use_local_subchannel_pool", 1)]
        ) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)  # its type stubs know the synchronous one only
            try:
                answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=1)
            except grpc.aio.AioRpcError:
                return False
            return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    async def _exchange(self, request: bytes) -> bytes:
        """Return the first bytes that the process answers; none when it cannot be reached."""
        host, _, port = self.plan.address.partition(":")
        try:
            async with asyncio.timeout(1):
                reader, writer = await asyncio.open_connection(host, int(port))
                try:
                    writer.write(request)
                    return await reader.read(64)
                finally:
                    writer.close()
        except OSError:
            return b""


def _end_with_parent() -> None:
    """Have Linux end this process when the stack is killed and cannot end it any more."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() == 1:
        os._exit(1)
