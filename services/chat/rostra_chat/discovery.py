"""The models that a provider lists by its own account, read again and again."""

import asyncio
import logging
import time
from collections.abc import Sequence

from rostra_chat.catalogue import Model
from rostra_chat.providers.provider import Provider
from rostra_chat.settings import DiscoverySettings
from rostra_kit.errors import AppError

logger = logging.getLogger(__name__)


class Discovery:
    """Knows the last list that one provider gave; a failed reading keeps it.

    Args:
        provider: Who is asked.
        settings: How often, and how long an answer may take.
    """

    def __init__(self, provider: Provider, settings: DiscoverySettings) -> None:
        self.provider = provider
        self._settings = settings
        self._models: dict[str, Model] | None = None
        self._reading: asyncio.Task[None] | None = None
        self._has_read = False
        self._last_reading = float("-inf")

    @property
    def models(self) -> Sequence[Model]:
        """Return the models of the last list; none while there is no list."""
        return tuple(self._models.values()) if self._models else ()

    def find(self, name: str) -> Model | None:
        """Return the listed model that the provider calls `name`."""
        return self._models.get(name) if self._models else None

    def denies(self, upstream_name: str) -> bool:
        """Tell whether the provider has given a list, and this model is not in it."""
        return self._models is not None and upstream_name not in self._models

    async def run(self) -> None:
        """Read the list now and at every interval, until cancelled."""
        while True:
            await self._read_shared()
            await asyncio.sleep(self._settings.refresh_seconds)

    async def refresh(self) -> None:
        """Read the list again, unless that was done a moment ago; readings at the same time are one."""
        is_due = time.monotonic() - self._last_reading >= self._settings.min_refresh_seconds
        if is_due or self._reading is not None:
            await self._read_shared()

    async def wait_for_first(self) -> None:
        """Return when the first reading has ended, well or badly."""
        if not self._has_read:
            await self._read_shared()

    async def close(self) -> None:
        """End a reading under way."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])

    async def _read_shared(self) -> None:
        """Join the reading under way or begin one; whoever waits may leave without ending it for the others."""
        if self._reading is None:
            self._reading = asyncio.create_task(self._read(), name=f"discovery-{self.provider.name}")
        await asyncio.shield(self._reading)

    async def _read(self) -> None:
        try:
            async with asyncio.timeout(self._settings.timeout_seconds):
                listed = await self.provider.list_models()
        except (AppError, TimeoutError) as error:
            logger.warning("the models of %s cannot be listed: %s", self.provider.name, error or "it took too long")
        else:
            self._models = {model.id: model for model in listed}
        finally:
            self._has_read = True
            self._last_reading = time.monotonic()
            self._reading = None
