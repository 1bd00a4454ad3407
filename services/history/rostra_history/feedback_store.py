"""What the history service asks of a database about feedback; what holds for all stores stands in `store`."""

from typing import Protocol

from rostra_history.feedback import Feedback


class FeedbackStore(Protocol):
    """Keeps what owners think of the members of their conversations. It is read as part of the item.

    An item and its feedback change together: a deleted item has none, however the calls meet.
    """

    async def put(self, feedback: Feedback, *, owner: str, conversation_id: str, item_id: str) -> None:
        """Keep the feedback in place of what there was, or raise `ItemNotFound`."""

    async def delete(self, *, owner: str, conversation_id: str, item_id: str) -> None:
        """Forget the feedback.

        Raises:
            ItemNotFound: The item is not in this conversation, or is deleted.
            FeedbackNotFound: It has none.
        """
