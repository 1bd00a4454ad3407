"""Which models are on offer: those of the catalogue, and those that a provider lists by itself."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Self

from rostra_chat.catalogue import Model
from rostra_chat.discovery import Discovery
from rostra_chat.errors import ModelNotFound
from rostra_chat.providers.provider import Provider
from rostra_chat.settings import DiscoverySettings


class ModelDirectory:
    """Finds models by their public names.

    The catalogue goes first. An entry is offered when its provider is configured and does not say, by its own list,
    that it has no such model. A listed model that no entry stands for is offered under its own name; where two
    providers list the same name, the first provider's is.

    Args:
        catalogue: What is known beforehand.
        discoveries: The configured providers, each with what it lists.
    """

    def __init__(self, catalogue: Sequence[Model], discoveries: Sequence[Discovery]) -> None:
        self._catalogue = {model.id: model for model in catalogue}
        self._discoveries = {discovery.provider.name: discovery for discovery in discoveries}

    @classmethod
    @asynccontextmanager
    async def open(
        cls, catalogue: Sequence[Model], providers: Sequence[Provider], settings: DiscoverySettings
    ) -> AsyncIterator[Self]:
        """Ask the providers for their models in the background while the directory is open; wait for none of them."""
        discoveries = [Discovery(provider, settings) for provider in providers]
        async with AsyncExitStack() as stack:
            for discovery in discoveries:
                stack.push_async_callback(discovery.close)
                stack.push_async_callback(_end, asyncio.create_task(discovery.run()))
            yield cls(catalogue, discoveries)

    async def get(self, name: str) -> tuple[Model, Provider]:
        """Return the model that clients call `name`, and the provider that runs it.

        A name that nobody knows makes the providers be asked once more, at most every few seconds.

        Raises:
            ModelNotFound: No model of this name is offered.
        """
        found = self._find(name)
        if found is None:
            await self._refresh()
            found = self._find(name)
        if found is None:
            raise ModelNotFound.named(name)
        return found

    async def list(self) -> list[Model]:
        """Return the models on offer, sorted by id."""
        await asyncio.gather(*(discovery.wait_for_first() for discovery in self._discoveries.values()))
        names = {*self._catalogue, *(model.id for each in self._discoveries.values() for model in each.models)}
        found = (self._find(name) for name in sorted(names))
        return [pair[0] for pair in found if pair is not None]

    def _find(self, name: str) -> tuple[Model, Provider] | None:
        known = self._catalogue.get(name)
        if known is not None and (discovery := self._discoveries.get(known.provider)) is not None:
            return None if discovery.denies(known.upstream_name) else (known, discovery.provider)
        for discovery in self._discoveries.values():
            if (listed := discovery.find(name)) is not None:
                return listed, discovery.provider
        return None

    async def _refresh(self) -> None:
        await asyncio.gather(*(discovery.refresh() for discovery in self._discoveries.values()))


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
