"""Reads what a new response continues."""

from collections.abc import Sequence

from rostra_history.domain import BranchPoint, Context, Item, Response
from rostra_history.errors import ItemNotFound, PreviousResponseNotFound, ResponseNotFound
from rostra_history.store import HistoryStore
from rostra_history.thread import path_to
from rostra_kit.errors import InvalidArgumentError


class ContextReader:
    """Reads contexts; an empty id means that there is nothing of this kind.

    Args:
        store: Where everything is kept.
    """

    def __init__(self, store: HistoryStore) -> None:
        self._store = store

    async def load(
        self,
        *,
        owner: str,
        previous_response_id: str,
        conversation_id: str,
        item_ids: Sequence[str],
        response_id: str,
    ) -> Context:
        """Load what a new response continues, and the items that its input refers to.

        The response `response_id`, stored already, continues the branch of the conversation that it was made for.
        """
        point, thread_id = None, conversation_id
        if previous_response_id:
            check_exclusive(previous_response_id, conversation_id)
            previous = await self.continued_response(owner, previous_response_id)
            point, thread_id = previous.branch_point, previous.thread_id
        elif conversation_id:
            point = await self._continued_point(owner, conversation_id, response_id)
        items: list[Item] = []
        if point is not None and point.leaf_id is not None:
            loaded = await self._store.items.load_thread(owner=owner, thread_id=thread_id, end_seq=point.next_seq)
            items = path_to(point.leaf_id, loaded)
        referenced = await self._referenced(owner, item_ids)
        return Context(items, referenced, point if conversation_id else None)

    async def continued_response(self, owner: str, response_id: str) -> Response:
        """Return the response that another one continues, or raise `PreviousResponseNotFound`."""
        try:
            response = await self._store.responses.get(owner=owner, response_id=response_id)
        except ResponseNotFound as error:
            raise PreviousResponseNotFound(response_id) from error
        if not response.status.ended_well:
            raise PreviousResponseNotFound(response_id)
        return response

    async def _continued_point(self, owner: str, conversation_id: str, response_id: str) -> BranchPoint:
        """Return where the conversation is continued: now, or, once there was a switch, where the response was made."""
        conversation = await self._store.conversations.get(owner=owner, conversation_id=conversation_id)
        if not response_id:
            return conversation.branch_point
        response = await self._store.responses.get(owner=owner, response_id=response_id)
        if response.conversation_id != conversation_id:
            raise InvalidArgumentError("The response belongs to another conversation.", param="response_id")
        same = response.switch_count == conversation.switch_count
        return conversation.branch_point if same else response.branch_point

    async def _referenced(self, owner: str, item_ids: Sequence[str]) -> list[Item]:
        if not item_ids:
            return []
        items = await self._store.items.get_many(owner=owner, item_ids=item_ids)
        found = {item.id for item in items}
        for item_id in item_ids:
            if item_id not in found:
                raise ItemNotFound(item_id)
        return items


def check_exclusive(previous_response_id: str, conversation_id: str) -> None:
    """Check that a response continues one thing at most.

    Raises:
        InvalidArgumentError: It continues two.
    """
    if previous_response_id and conversation_id:
        raise InvalidArgumentError(
            "'previous_response_id' and 'conversation' exclude one another.", param="previous_response_id"
        )
