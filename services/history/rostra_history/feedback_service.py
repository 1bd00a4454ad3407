"""The use cases of feedback."""

from collections.abc import Callable

from rostra_history.errors import FeedbackNotFound
from rostra_history.feedback import Feedback, Rating, check_comment
from rostra_history.metrics import HistoryMetrics
from rostra_history.store import HistoryStore


class FeedbackService:
    """Keeps what people think of the items of their conversations.

    Args:
        store: Where everything is kept.
        metrics: What is counted.
        now_us: The time in microseconds since 1970, UTC.
    """

    def __init__(self, *, store: HistoryStore, metrics: HistoryMetrics, now_us: Callable[[], int]) -> None:
        self._store = store
        self._metrics = metrics
        self._now_us = now_us

    async def update(self, *, owner: str, conversation_id: str, item_id: str, rating: Rating, comment: str) -> Feedback:
        """Keep an opinion in place of the one before, and return it."""
        check_comment(comment)
        feedback = Feedback(rating=rating, comment=comment, update_time_us=self._now_us())
        await self._store.feedback.put(feedback, owner=owner, conversation_id=conversation_id, item_id=item_id)
        self._metrics.feedback_given.labels(rating).inc()
        return feedback

    async def get(self, *, owner: str, conversation_id: str, item_id: str) -> Feedback:
        """Return the opinion, or raise `FeedbackNotFound`."""
        item = await self._store.items.get(owner=owner, conversation_id=conversation_id, item_id=item_id)
        if item.feedback is None:
            raise FeedbackNotFound(item_id)
        return item.feedback

    async def delete(self, *, owner: str, conversation_id: str, item_id: str) -> None:
        """Forget the opinion."""
        await self._store.feedback.delete(owner=owner, conversation_id=conversation_id, item_id=item_id)
