"""Where responses are remembered: what the engine needs of the history service."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

Item = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a new response continues.

    Attributes:
        items: The items before it, oldest first.
        referenced: The items that its input refers to, in the order of the references.
        branch_point: The point of a conversation that it continues, as the store wrote it down; empty for none.
    """

    items: tuple[Item, ...] = ()
    referenced: tuple[Item, ...] = ()
    branch_point: bytes = b""


class ResponseStore(Protocol):
    """Remembers the caller's responses and their items. Every call may raise `UnavailableError`."""

    async def load_context(
        self, *, previous_response_id: str, conversation_id: str, item_ids: Sequence[str], response_id: str = ""
    ) -> Context:
        """Return what a response continues, the names of what there is none of being empty.

        A response that is stored already, `response_id`, continues the branch of the conversation that it was made for.

        Raises:
            NotFoundError: One of them does not exist, or is somebody else's.
        """
        ...

    async def create(
        self, response: dict[str, Any], *, input_items: Sequence[Item], branch_point: bytes = b"", lease_seconds: float
    ) -> None:
        """Store the response object of a run that begins, with its input. A repeat changes nothing.

        In a conversation it will join the branch of the `branch_point` that its context has. When it has not ended
        `lease_seconds` from now, or from the last renewal, whoever runs it is dead, and it is ended by others.
        """
        ...

    async def renew(self, response_ids: Sequence[str], *, lease_seconds: float) -> None:
        """Renew the leases of responses that run; of the others, nothing changes."""
        ...

    async def finish(self, response: dict[str, Any]) -> None:
        """Store the response object of a run that ended, with the output in it. A response ends once.

        Raises:
            LeaseLost: Others took its process for dead, and it is theirs to end.
        """
        ...
