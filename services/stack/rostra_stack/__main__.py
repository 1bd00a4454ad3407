"""Run Rostra on this machine: `make run`, or `python -m rostra_stack --port 8080 --data .rostra`."""

import argparse
import asyncio
import sys
import time
from contextlib import suppress
from pathlib import Path

from rostra_kit.shutdown import Shutdown
from rostra_stack.child import ChildFailed
from rostra_stack.config import StackConfig
from rostra_stack.local_account import local_api_key
from rostra_stack.stack import Stack, StackRefused


def main() -> int:
    """Run until Ctrl-C or SIGTERM and return the exit code."""
    try:
        asyncio.run(_run(_parse_arguments()))
    except (StackRefused, ChildFailed) as error:
        _say(f"\n{error}", error=True)
        return 1
    return 0


async def _run(config: StackConfig) -> None:
    shutdown = Shutdown()
    shutdown.listen()
    serving = asyncio.create_task(_serve(config))
    stopping = asyncio.create_task(shutdown.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not serving.done():
        _say("\nStopping ...")
        serving.cancel()
    with suppress(asyncio.CancelledError):
        await serving


async def _serve(config: StackConfig) -> None:
    started = time.monotonic()
    _say(f"Rostra is starting. Data: {config.data}  Logs: {config.data / 'logs'}")
    async with Stack(config, on_ready=lambda name, seconds: _say(f"  {name:<10} ready after {seconds:.1f} s")) as stack:
        failing = asyncio.create_task(stack.wait_failed())
        keyed = asyncio.create_task(local_api_key(stack.gateway_urls[0], config.data))
        try:
            await asyncio.wait({failing, keyed}, return_when=asyncio.FIRST_COMPLETED)
            if not failing.done():
                _introduce(stack, keyed.result(), time.monotonic() - started)
            await failing
        finally:
            keyed.cancel()
            failing.cancel()


def _introduce(stack: Stack, api_key: str, seconds: float) -> None:
    url = stack.gateway_urls[0]
    _say(
        f"""
Rostra is ready after {seconds:.1f} s.

  API   {url}/v1      Docs  {url}/docs
  Key   {api_key}

  curl {url}/v1/chat/completions -H "Authorization: Bearer {api_key}" \\
       -H "Content-Type: application/json" \\
       -d '{{"model": "echo", "messages": [{{"role": "user", "content": "Hello!"}}]}}'

Stop with Ctrl-C."""
    )


def _parse_arguments() -> StackConfig:
    parser = argparse.ArgumentParser(prog="rostra_stack", description="Run Rostra on this machine.")
    parser.add_argument("--port", type=int, default=8080, help="port of the API (default: %(default)s)")
    parser.add_argument("--data", type=Path, default=Path(".rostra"), help="folder for data (default: %(default)s)")
    parser.add_argument("--gateways", type=int, default=1, help="number of gateway processes (default: %(default)s)")
    parser.add_argument("--chats", type=int, default=1, help="number of chat processes (default: %(default)s)")
    arguments = parser.parse_args()
    return StackConfig(
        data=arguments.data.absolute(), port=arguments.port, gateways=arguments.gateways, chats=arguments.chats
    )


def _say(text: str, *, error: bool = False) -> None:
    stream = sys.stderr if error else sys.stdout
    stream.write(text + "\n")
    stream.flush()


if __name__ == "__main__":
    sys.exit(main())
