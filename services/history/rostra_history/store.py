"""What the history service asks of a database. There are two implementations, on SQLite and on Amazon DocumentDB.

For all methods of all stores:

- `owner` is part of every query: what another user owns is, for the asker, not there.
- What a method has returned is durable, and every later call sees it, through any replica.
- Writes run to their end even when the caller is cancelled; a cancelled caller does not know how they ended.
- A database that cannot be reached raises `UnavailableError`; no error of a driver gets out.
- Bodies, metadata, titles and ids come back exactly as they went in, whatever characters are in them.
- A page whose `after_id` names no element of the list raises `InvalidArgumentError` for `after`.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from rostra_history.domain import Conversation, Item, Page, PageRequest, Response


class ConversationStore(Protocol):
    """Keeps conversations."""

    async def create(self, conversation: Conversation, items: Sequence[Item]) -> None:
        """Store a new conversation with its first items, which are placed and end at its leaf.

        The conversation is seen with all of its items or not at all.
        """

    async def get(self, *, owner: str, conversation_id: str) -> Conversation:
        """Return the conversation, or raise `ConversationNotFound`."""

    async def list_page(self, *, owner: str, page: PageRequest) -> Page[Conversation]:
        """Return a page of the owner's conversations by creation time, then id."""

    async def update(
        self, *, owner: str, conversation_id: str, metadata: Mapping[str, str], title: str | None, now_us: int
    ) -> Conversation:
        """Replace the metadata, and the title unless it is `None`, and return the outcome.

        Raises:
            ConversationNotFound: There is none.
        """

    async def delete(self, *, owner: str, conversation_id: str) -> None:
        """Delete the conversation and all items and responses of its thread, or raise `ConversationNotFound`.

        A response in progress and its items are spared: whoever runs it can still finish it, and gets what was paid.
        """


class ItemStore(Protocol):
    """Keeps items."""

    async def append(self, *, owner: str, conversation_id: str, items: Sequence[Item], now_us: int) -> list[Item]:
        """Append items, not placed yet, to the conversation as one path; return them placed.

        Items of parallel calls do not mix: those of one call follow one another.

        Raises:
            ConversationNotFound: There is none.
        """

    async def get(self, *, owner: str, conversation_id: str, item_id: str) -> Item:
        """Return a member of the conversation, or raise `ItemNotFound`."""

    async def list_page(self, *, owner: str, conversation_id: str, page: PageRequest) -> Page[Item]:
        """Return a page of the conversation's members by rank; an unknown conversation has none.

        A deleted item is not shown, but still serves as `after_id`: a client may delete what it pages through.
        """

    async def get_many(self, *, owner: str, item_ids: Sequence[str]) -> list[Item]:
        """Return the owner's items of these ids, wherever they are, in this order, or raise `ItemNotFound`."""

    async def delete(self, *, owner: str, conversation_id: str, item_id: str, now_us: int) -> Conversation:
        """Replace a member by a tombstone, and return its conversation.

        Later items keep their parent, so neither a context nor a parallel append can break; the body is gone for good.

        Raises:
            ItemNotFound: It is not in this conversation, or is deleted already.
            ConversationNotFound: There is none.
        """

    async def load_thread(self, *, owner: str, thread_id: str, end_seq: int) -> list[Item]:
        """Return the thread's placed items of rank below `end_seq`, tombstones too, sorted by rank: one query."""


class ResponseStore(Protocol):
    """Keeps responses and their items."""

    async def create(self, response: Response, items: Sequence[Item]) -> None:
        """Store a response in progress, with its input; a response that is there already stays as it is.

        The response is seen with all of its input or not at all.

        Raises:
            AlreadyExistsError: The id of the response, or of an item, is taken by something else.
        """

    async def get(self, *, owner: str, response_id: str) -> Response:
        """Return the response, or raise `ResponseNotFound`."""

    async def list_output(self, *, owner: str, response_id: str) -> list[Item]:
        """Return the output of a response that has ended, in order, without tombstones; an unknown one has none."""

    async def list_input_page(self, *, owner: str, response_id: str, page: PageRequest) -> Page[Item]:
        """Return a page of the response's input by position; an unknown response has none.

        A deleted item is not shown, but still serves as `after_id`.
        """

    async def finish(self, response: Response, output: Sequence[Item], *, now_us: int) -> None:
        """End the stored response as `response` says, with this output; one that has ended already stays as it is.

        However many calls are made at once, exactly one decides how the response ends and what its output is. The new
        status is seen only together with the output, and, for a response that joins its conversation, only once input
        and output are members of it. A conversation that was deleted is not missed.

        Args:
            response: The response with its final status and body, and its path unless it joins a conversation.
            output: The items; placed, unless the response was made in a conversation.
            now_us: When the conversation changed.

        Raises:
            ResponseNotFound: The response was deleted.
        """

    async def delete(self, *, owner: str, response_id: str) -> None:
        """Delete the response, and the items of its thread that nobody needs any more, or raise `ResponseNotFound`.

        An item is needed while it is in a conversation, its response exists, or a response that continues it exists
        (`rostra_history.thread.unneeded`): no context ever loses an item, and the last one out takes the rest along.
        """


class HistoryStore(Protocol):
    """Keeps everything, in one database."""

    @property
    def conversations(self) -> ConversationStore:
        """Return the part that keeps conversations."""

    @property
    def items(self) -> ItemStore:
        """Return the part that keeps items."""

    @property
    def responses(self) -> ResponseStore:
        """Return the part that keeps responses."""

    async def delete_owner(self, *, owner: str) -> None:
        """Delete everything that the owner has; doing so twice changes nothing."""

    async def ping(self) -> None:
        """Return when the database answers, or raise."""
