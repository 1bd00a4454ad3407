"""What the history service asks of a database about shares; what holds for all stores stands in `store`."""

from typing import Protocol

from rostra_history.domain import Page, PageRequest
from rostra_history.share import Share


class ShareStore(Protocol):
    """Keeps shares. They go with their conversation."""

    async def create(self, share: Share) -> None:
        """Store a new share, or raise `ConversationNotFound`."""

    async def get(self, *, owner: str, share_id: str) -> Share:
        """Return the share, or raise `ShareNotFound`."""

    async def find(self, *, share_id: str) -> Share:
        """Return the share, whoever owns it and whether or not it has expired, or raise `ShareNotFound`.

        Its conversation may have been deleted a moment ago: look, before anything of it is shown.
        """

    async def list_page(self, *, owner: str, conversation_id: str | None, page: PageRequest) -> Page[Share]:
        """Return a page of the owner's shares by creation time, then id: of one conversation, or of all."""

    async def delete(self, *, owner: str, share_id: str) -> None:
        """Delete the share, or raise `ShareNotFound`."""
