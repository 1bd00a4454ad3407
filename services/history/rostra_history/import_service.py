"""The use case of imports."""

from collections.abc import Callable

from rostra_history.domain import Conversation
from rostra_history.imports import ImportedConversation, place_imported
from rostra_history.metrics import HistoryMetrics
from rostra_history.store import HistoryStore
from rostra_history.validation import check_metadata, check_title
from rostra_kit.ids import new_id


class ImportService:
    """Creates conversations as they were elsewhere.

    Args:
        store: Where everything is kept.
        metrics: What is counted.
        now_us: The time in microseconds since 1970, UTC.
    """

    def __init__(self, *, store: HistoryStore, metrics: HistoryMetrics, now_us: Callable[[], int]) -> None:
        self._store = store
        self._metrics = metrics
        self._now_us = now_us

    async def import_conversation(self, *, owner: str, imported: ImportedConversation) -> Conversation:
        """Create the conversation with all its branches and times; it is seen with all of them or not at all."""
        check_metadata(imported.metadata)
        check_title(imported.title)
        create_time_us = self._now_us() if imported.create_time_us is None else imported.create_time_us
        empty = Conversation(
            id=new_id("conv"),
            owner=owner,
            metadata=dict(imported.metadata),
            title=imported.title,
            create_time_us=create_time_us,
            update_time_us=create_time_us if imported.update_time_us is None else imported.update_time_us,
            archived=imported.archived,
        )
        conversation, items = await place_imported(imported, empty)
        await self._store.conversations.create(conversation, items)
        self._metrics.conversations_created.inc()
        self._metrics.items_stored.labels("imported").inc(len(items))
        return conversation
