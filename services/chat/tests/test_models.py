"""Models of the catalogue and models that providers list are offered side by side."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime

import pytest

from rostra_chat.catalogue import Model
from rostra_chat.errors import ModelNotFound, ProviderUnavailable
from rostra_chat.models import ModelDirectory
from rostra_chat.providers.provider import Provider
from rostra_chat.settings import DiscoverySettings

LAZY = DiscoverySettings(refresh_seconds=3600, min_refresh_seconds=0, timeout_seconds=0.2)


class ListingProvider(Provider):
    """A provider of which only the list matters; `listing` may be None for one that cannot be reached."""

    def __init__(self, name: str, listing: Sequence[str] | None) -> None:
        self._name = name
        self.listing = listing
        self.readings = 0
        self.read = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    @property
    def name(self) -> str:
        return self._name

    async def list_models(self) -> list[Model]:
        self.readings += 1
        self.read.set()
        await self.gate.wait()
        if self.listing is None:
            raise ProviderUnavailable("Gone.")
        return [entry(name, provider=self._name) for name in self.listing]


def entry(name: str, *, provider: str = "openai", upstream_name: str = "", window: int = 0) -> Model:
    return Model(
        id=name,
        provider=provider,
        upstream_name=upstream_name or name,
        context_window=window,
        create_time=datetime.now(UTC),
    )


def directory(
    catalogue: Sequence[Model], *providers: ListingProvider, settings: DiscoverySettings = LAZY
) -> AbstractAsyncContextManager[ModelDirectory]:
    return ModelDirectory.open(catalogue, providers, settings)


async def names(models: ModelDirectory) -> list[str]:
    return [model.id for model in await models.list()]


@pytest.fixture
def local() -> ListingProvider:
    return ListingProvider("openai", ["llama3", "fast-2"])


async def test_listed_models_stand_beside_the_catalogues(local: ListingProvider) -> None:
    known = entry("fast", upstream_name="fast-2", window=8192)
    async with directory([known], local) as models:
        assert await names(models) == ["fast", "fast-2", "llama3"]
        assert await models.get("fast") == (known, local)
        model, provider = await models.get("llama3")
        assert (model.context_window, model.output_price_micros, provider) == (0, 0, local)


async def test_catalogue_knows_better_than_the_list(local: ListingProvider) -> None:
    known = entry("llama3", window=8192)
    async with directory([known], local) as models:
        assert await models.get("llama3") == (known, local)
        assert (await names(models)).count("llama3") == 1


async def test_entry_of_an_absent_provider_is_not_offered(local: ListingProvider) -> None:
    async with directory([entry("claude", provider="anthropic")], local) as models:
        assert "claude" not in await names(models)
        with pytest.raises(ModelNotFound, match="`claude` does not exist or you do not have access to it") as caught:
            await models.get("claude")
    assert caught.value.param == "model"


async def test_entry_that_its_provider_denies_is_not_offered(local: ListingProvider) -> None:
    async with directory([entry("gpt-6-sol")], local) as models:
        assert await names(models) == ["fast-2", "llama3"]
        with pytest.raises(ModelNotFound):
            await models.get("gpt-6-sol")


async def test_unreachable_provider_leaves_the_catalogue_on_offer() -> None:
    dead = ListingProvider("openai", None)
    async with directory([entry("gpt-6-sol")], dead) as models:
        assert await names(models) == ["gpt-6-sol"]
        assert (await models.get("gpt-6-sol"))[1] is dead


async def test_silent_provider_does_not_hold_up_the_start() -> None:
    silent = ListingProvider("openai", ["llama3"])
    silent.gate.clear()
    async with asyncio.timeout(5), directory([entry("gpt-6-sol")], silent) as models:
        assert (await models.get("gpt-6-sol"))[0].id == "gpt-6-sol"
        await silent.read.wait()
        assert await names(models) == ["gpt-6-sol"]


async def test_failed_reading_keeps_the_last_list(local: ListingProvider) -> None:
    async with directory([], local) as models:
        assert await names(models) == ["fast-2", "llama3"]
        local.listing = None
        with pytest.raises(ModelNotFound):
            await models.get("new")
        assert local.readings == 2
        assert await names(models) == ["fast-2", "llama3"]


async def test_unknown_name_makes_the_list_be_read_again(local: ListingProvider) -> None:
    async with directory([], local) as models:
        await names(models)
        local.listing = ["new"]
        assert (await models.get("new"))[0].id == "new"
        assert await names(models) == ["new"]


async def test_unknown_names_do_not_flood_the_provider(local: ListingProvider) -> None:
    settings = LAZY.model_copy(update={"min_refresh_seconds": 60})
    async with directory([], local, settings=settings) as models:
        await names(models)
        for _ in range(5):
            with pytest.raises(ModelNotFound):
                await models.get("unknown")
    assert local.readings == 1


async def test_questions_at_the_same_time_share_a_reading(local: ListingProvider) -> None:
    async with directory([], local) as models:
        await names(models)
        local.gate.clear()
        questions = [asyncio.create_task(models.get("llama4")) for _ in range(5)]
        await asyncio.sleep(0)
        questions[0].cancel()
        local.listing = ["llama4"]
        local.gate.set()
        answers = await asyncio.gather(*questions, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert [answer[0].id for answer in answers[1:] if isinstance(answer, tuple)] == ["llama4"] * 4
    assert local.readings == 2


async def test_list_is_read_again_by_itself(local: ListingProvider) -> None:
    settings = LAZY.model_copy(update={"refresh_seconds": 0.001})
    async with asyncio.timeout(5), directory([], local, settings=settings) as models:
        await names(models)
        local.listing = ["new"]
        for _ in range(2):  # when the second reading begins the first has been taken in
            local.read.clear()
            await local.read.wait()
        assert await names(models) == ["new"]


async def test_first_provider_has_the_name(local: ListingProvider) -> None:
    other = ListingProvider("vllm", ["llama3", "other"])
    async with directory([], local, other) as models:
        assert await names(models) == ["fast-2", "llama3", "other"]
        assert (await models.get("llama3"))[1] is local
