"""The use cases of shares: made, listed and ended by their owners, read by anybody."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from rostra_history.domain import Item, Page, PageRequest
from rostra_history.errors import ConversationNotFound, PageStartNotFound, ShareNotFound
from rostra_history.metrics import HistoryMetrics
from rostra_history.share import Share, new_share_id, shown_message
from rostra_history.store import HistoryStore
from rostra_history.thread import path_to
from rostra_kit.errors import InvalidArgumentError

_PAGE_CHARACTERS = 1_000_000


@dataclass(frozen=True, slots=True)
class SharedMessage:
    """What a share shows of one item: its id, when it was stored, and the message as JSON text."""

    id: str
    body: str
    create_time_us: int


class ShareService:
    """Shares conversations.

    Args:
        store: Where everything is kept.
        metrics: What is counted.
        now_us: The time in microseconds since 1970, UTC.
    """

    def __init__(self, *, store: HistoryStore, metrics: HistoryMetrics, now_us: Callable[[], int]) -> None:
        self._store = store
        self._metrics = metrics
        self._now_us = now_us

    async def create(self, *, owner: str, conversation_id: str, expire_time_us: int | None) -> Share:
        """Share the conversation as it is now, until a time or for good."""
        now_us = self._now_us()
        if expire_time_us is not None and expire_time_us <= now_us:
            raise InvalidArgumentError("A share can only end in the future.", param="expires_at")
        conversation = await self._store.conversations.get(owner=owner, conversation_id=conversation_id)
        thread = await self._store.items.load_thread(
            owner=owner, thread_id=conversation_id, end_seq=conversation.next_seq
        )
        # The leaf that is there: the conversation's may be one that a writer has announced and not stored yet.
        path = path_to(conversation.leaf_id, thread)
        share = Share(
            id=new_share_id(),
            owner=owner,
            conversation_id=conversation_id,
            leaf_id=path[-1].id if path else None,
            end_seq=(path[-1].seq or 0) + 1 if path else 0,
            title=conversation.title,
            create_time_us=now_us,
            expire_time_us=expire_time_us,
        )
        await self._store.shares.create(share)
        self._metrics.shares_created.inc()
        return share

    async def get(self, *, owner: str, share_id: str) -> Share:
        """Return the owner's share, also when it has expired."""
        return await self._store.shares.get(owner=owner, share_id=share_id)

    async def list_page(self, *, owner: str, conversation_id: str | None, page: PageRequest) -> Page[Share]:
        """Return a page of the owner's shares, those that have expired included."""
        return await self._store.shares.list_page(owner=owner, conversation_id=conversation_id, page=page)

    async def delete(self, *, owner: str, share_id: str) -> None:
        """End the share."""
        await self._store.shares.delete(owner=owner, share_id=share_id)

    async def read(self, *, share_id: str, page: PageRequest) -> tuple[Share, Page[SharedMessage]]:
        """Return the share and a page of what it shows, to whoever asks; a page of long messages ends early.

        Raises:
            ShareNotFound: There is none, its time is over, or its conversation is gone.
            PageStartNotFound: `after_id` names nothing in the conversation as it was shared.
        """
        share = await self._store.shares.find(share_id=share_id)
        if share.has_expired(self._now_us()):
            raise ShareNotFound(share_id)
        thread = await self._store.items.load_thread(
            owner=share.owner, thread_id=share.conversation_id, end_seq=share.end_seq
        )
        try:
            # Last: a conversation that is deleted while its items are read is not shown in part.
            await self._store.conversations.get(owner=share.owner, conversation_id=share.conversation_id)
        except ConversationNotFound as error:
            raise ShareNotFound(share_id) from error
        following = _following(path_to(share.leaf_id, thread), thread, page)
        return share, _page(_messages(following), page.limit)


def _following(path: list[Item], thread: Sequence[Item], page: PageRequest) -> list[Item]:
    """Return what follows `after_id` on the path, in the page's order; a deleted item still serves as `after_id`."""
    ordered = path[::-1] if page.descending else path
    if page.after_id is None:
        return ordered
    start = next((item.seq for item in thread if item.id == page.after_id), None)
    if start is None:
        raise PageStartNotFound
    return [item for item in ordered if ((item.seq or 0) < start if page.descending else (item.seq or 0) > start)]


def _page(messages: Iterable[SharedMessage], limit: int) -> Page[SharedMessage]:
    """Return a page of up to `limit` messages; fewer where they are long, for anybody may ask for it."""
    shown: list[SharedMessage] = []
    room = _PAGE_CHARACTERS
    for message in messages:
        room -= len(message.body)
        if len(shown) == limit or (shown and room < 0):
            return Page(shown, has_more=True)
        shown.append(message)
    return Page(shown, has_more=False)


def _messages(items: Iterable[Item]) -> Iterator[SharedMessage]:
    for item in items:
        body = shown_message(item)
        if body is not None:
            yield SharedMessage(item.id, body, item.create_time_us)
