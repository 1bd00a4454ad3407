"""Which models are on offer: those of the catalogue, and those that a provider lists by itself."""

from rostra_chat.catalogue import Model
from rostra_chat.providers.provider import Provider


class ModelDirectory:
    """Finds models by their public names."""

    async def get(self, name: str) -> tuple[Model, Provider]:
        """Return the model that clients call `name`, and the provider that runs it.

        Raises:
            ModelNotFound: No model of this name is offered.
        """
        raise NotImplementedError(name)

    async def list(self) -> list[Model]:
        """Return the models on offer, sorted by id."""
        raise NotImplementedError
