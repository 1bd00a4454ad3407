"""Feedback in Amazon DocumentDB: a field of the item's document, so one update keeps the two together."""

from rostra_history.documentdb_store.database import Database, member
from rostra_history.documentdb_store.documents import feedback_document
from rostra_history.errors import FeedbackNotFound, ItemNotFound
from rostra_history.feedback import Feedback


class DocumentdbFeedbackStore:
    """A `FeedbackStore` on Amazon DocumentDB."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._items = database.items

    async def put(self, feedback: Feedback, *, owner: str, conversation_id: str, item_id: str) -> None:
        """Keep the feedback."""
        item = member(owner, conversation_id, item_id)
        update = {"$set": {"feedback": feedback_document(feedback)}}
        outcome = await self._database.write(self._items.update_one(item, update))
        if not outcome.matched_count:
            raise ItemNotFound(item_id)

    async def delete(self, *, owner: str, conversation_id: str, item_id: str) -> None:
        """Forget the feedback."""
        await self._database.write(self._delete(owner, conversation_id, item_id))

    async def _delete(self, owner: str, conversation_id: str, item_id: str) -> None:
        item = member(owner, conversation_id, item_id)
        outcome = await self._items.update_one(item | {"feedback": {"$ne": None}}, {"$set": {"feedback": None}})
        if outcome.matched_count:
            return
        if await self._items.find_one(item, {"_id": 1}) is None:
            raise ItemNotFound(item_id)
        raise FeedbackNotFound(item_id)
