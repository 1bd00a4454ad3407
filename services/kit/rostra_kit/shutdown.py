"""How a process learns that it must end."""

import asyncio
import signal


class Shutdown:
    """Waits for SIGTERM or SIGINT.

    `asyncio.run` alone ends at SIGTERM without running any `finally`; a handler on the loop keeps the ending in order.
    """

    def __init__(self) -> None:
        self._requested = asyncio.Event()

    def listen(self) -> None:
        """Take the signals over from now on; needs the running loop."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.request)

    def request(self) -> None:
        """End the process in order, as a signal would."""
        self._requested.set()

    @property
    def requested(self) -> bool:
        """Tell whether the process is ending."""
        return self._requested.is_set()

    async def wait(self) -> None:
        """Return when the process must end."""
        await self._requested.wait()
