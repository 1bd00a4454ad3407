"""The use cases of the history service; no gRPC, no database, no environment."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from rostra_history.branch_reader import BranchReader
from rostra_history.branches import Fork
from rostra_history.context_reader import ContextReader, check_exclusive
from rostra_history.domain import (
    BranchPoint,
    Context,
    Conversation,
    ConversationChanges,
    ConversationFilter,
    Item,
    ItemKind,
    ItemView,
    Page,
    PageRequest,
    Response,
    ResponseStatus,
)
from rostra_history.drafts import NewItem, conversation_items, parsed, response_items
from rostra_history.errors import LeaseLost
from rostra_history.leases import Job
from rostra_history.metrics import HistoryMetrics
from rostra_history.store import HistoryStore
from rostra_history.thread import place
from rostra_history.titles import title_of
from rostra_history.validation import check_metadata, check_title
from rostra_kit.errors import InvalidArgumentError
from rostra_kit.ids import new_id


class HistoryService:
    """Keeps conversations, items and responses, each for its owner alone.

    Args:
        store: Where everything is kept.
        metrics: What is counted.
        now_us: The time in microseconds since 1970, UTC.
        abandoned_after_us: When a response that runs for a waiting client, without a lease, is certainly run by nobody
            any more.
    """

    def __init__(
        self,
        *,
        store: HistoryStore,
        metrics: HistoryMetrics,
        now_us: Callable[[], int],
        abandoned_after_us: int,
    ) -> None:
        self._store = store
        self._branches = BranchReader(store)
        self._contexts = ContextReader(store)
        self._metrics = metrics
        self._now_us = now_us
        self._abandoned_after_us = abandoned_after_us

    async def create_conversation(
        self, *, owner: str, metadata: Mapping[str, str], items: Sequence[Any]
    ) -> Conversation:
        """Create a conversation with its first items, given as parsed JSON."""
        check_metadata(metadata)
        now_us = self._now_us()
        conversation_id = new_id("conv")
        unplaced = conversation_items(items, owner=owner, conversation_id=conversation_id, now_us=now_us)
        placed = place(unplaced, first_seq=0, parent_id=None, conversation_id=conversation_id)
        conversation = Conversation(
            id=conversation_id,
            owner=owner,
            metadata=dict(metadata),
            title=title_of(items),
            create_time_us=now_us,
            update_time_us=now_us,
            next_seq=len(placed),
            leaf_id=placed[-1].id if placed else None,
        )
        await self._store.conversations.create(conversation, placed)
        self._metrics.conversations_created.inc()
        self._metrics.items_stored.labels("direct").inc(len(placed))
        return conversation

    async def get_conversation(self, *, owner: str, conversation_id: str) -> Conversation:
        """Return the conversation."""
        return await self._store.conversations.get(owner=owner, conversation_id=conversation_id)

    async def list_conversations(
        self, *, owner: str, wanted: ConversationFilter, page: PageRequest
    ) -> Page[Conversation]:
        """Return a page of the owner's conversations."""
        return await self._store.conversations.list_page(owner=owner, wanted=wanted, page=page)

    async def update_conversation(
        self, *, owner: str, conversation_id: str, changes: ConversationChanges
    ) -> Conversation:
        """Change what is given of the conversation."""
        check_metadata(changes.metadata or {})
        check_title(changes.title)
        return await self._store.conversations.update(
            owner=owner, conversation_id=conversation_id, changes=changes, now_us=self._now_us()
        )

    async def delete_conversation(self, *, owner: str, conversation_id: str) -> None:
        """Delete the conversation with the items and the responses in it."""
        await self._store.conversations.delete(owner=owner, conversation_id=conversation_id)

    async def create_items(self, *, owner: str, conversation_id: str, items: Sequence[Any]) -> list[Item]:
        """Append items, given as parsed JSON, to the conversation."""
        now_us = self._now_us()
        unplaced = conversation_items(items, owner=owner, conversation_id=conversation_id, now_us=now_us)
        placed = await self._store.items.append(
            owner=owner, conversation_id=conversation_id, items=unplaced, now_us=now_us
        )
        self._metrics.items_stored.labels("direct").inc(len(placed))
        await self._name(owner, conversation_id, title_of(items), now_us)
        return [*[await self._branches.with_shown_parent(item) for item in placed[:1]], *placed[1:]]

    async def list_items(
        self, *, owner: str, conversation_id: str, page: PageRequest, view: ItemView = ItemView.ACTIVE_BRANCH
    ) -> Page[Item]:
        """Return a page of the conversation's items."""
        return await self._branches.list_items(owner=owner, conversation_id=conversation_id, view=view, page=page)

    async def list_forks(self, *, owner: str, conversation_id: str) -> list[Fork]:
        """Return where the conversation's branches part."""
        return await self._branches.list_forks(owner=owner, conversation_id=conversation_id)

    async def get_item(self, *, owner: str, conversation_id: str, item_id: str) -> Item:
        """Return one item of the conversation."""
        item = await self._store.items.get(owner=owner, conversation_id=conversation_id, item_id=item_id)
        return await self._branches.with_shown_parent(item)

    async def delete_item(self, *, owner: str, conversation_id: str, item_id: str) -> Conversation:
        """Delete one item of the conversation; return the conversation."""
        return await self._store.items.delete(
            owner=owner, conversation_id=conversation_id, item_id=item_id, now_us=self._now_us()
        )

    async def load_context(
        self,
        *,
        owner: str,
        previous_response_id: str,
        conversation_id: str,
        item_ids: Sequence[str],
        response_id: str = "",
    ) -> Context:
        """Load what a new response continues; an empty id means that there is nothing of this kind.

        The response `response_id`, stored already, continues the branch of the conversation that it was made for.
        """
        context = await self._contexts.load(
            owner=owner,
            previous_response_id=previous_response_id,
            conversation_id=conversation_id,
            item_ids=item_ids,
            response_id=response_id,
        )
        self._metrics.context_items.observe(len(context.items))
        self._metrics.context_characters.observe(sum(len(item.body) for item in context.items))
        return context

    async def create_response(  # noqa: PLR0913 - each is a part of its own
        self,
        *,
        owner: str,
        response_id: str,
        previous_response_id: str,
        conversation_id: str,
        body: str,
        items: Sequence[NewItem],
        job: Job | None = None,
        branch_point: BranchPoint | None = None,
        lease_us: int | None = None,
    ) -> None:
        """Store a response that is about to run, with its input; an empty id means that there is none of this kind.

        With a job it is queued, to run in the background. Without, it is claimed, to be ended, when its lease ends:
        this long from now, or from when who runs it renewed it last. In a conversation it continues the `branch_point`
        that its context was read at, the present one by default.
        """
        check_exclusive(previous_response_id, conversation_id)
        now_us = self._now_us()
        title = ""
        response = Response(
            id=response_id,
            owner=owner,
            thread_id=conversation_id or response_id,
            status=ResponseStatus.QUEUED if job else ResponseStatus.IN_PROGRESS,
            body=body,
            create_time_us=now_us,
            background=job is not None,
            previous_response_id=previous_response_id or None,
            conversation_id=conversation_id or None,
        )
        if previous_response_id:
            previous = await self._contexts.continued_response(owner, previous_response_id)
            response = replace(
                response, thread_id=previous.thread_id, leaf_id=previous.leaf_id, next_seq=previous.next_seq
            )
        elif conversation_id:
            conversation = await self._store.conversations.get(owner=owner, conversation_id=conversation_id)
            title = "" if conversation.title else title_of(parsed(items))
            point = branch_point or conversation.branch_point
            response = replace(
                response, leaf_id=point.leaf_id, next_seq=point.next_seq, switch_count=point.switch_count
            )
        given = response_items(items, response=response, kind=ItemKind.INPUT, now_us=now_us)
        claim_time_us = now_us if job else now_us + (lease_us or self._abandoned_after_us)
        await self._store.responses.create(response.followed_by(given), given, claim_time_us=claim_time_us, job=job)
        self._metrics.items_stored.labels(ItemKind.INPUT).inc(len(given))
        await self._name(owner, conversation_id, title, now_us)

    async def finish_response(
        self,
        *,
        owner: str,
        response_id: str,
        status: ResponseStatus,
        body: str,
        items: Sequence[NewItem],
        attempt: int = 0,
    ) -> None:
        """Store how a response ended; one that this attempt has ended already stays as it is."""
        if not status.is_final:
            raise InvalidArgumentError(f"A response cannot end as '{status}'.", param="status")
        stored = await self._store.responses.get(owner=owner, response_id=response_id)
        if stored.attempt != attempt or stored.status is ResponseStatus.QUEUED:
            raise LeaseLost(response_id)
        if stored.status.is_final:
            return
        now_us = self._now_us()
        output = response_items(items, response=stored, kind=ItemKind.OUTPUT, now_us=now_us)
        finished = replace(stored, status=status, body=body).followed_by(output)
        await self._store.responses.finish(finished, output, now_us=now_us)
        self._metrics.items_stored.labels(ItemKind.OUTPUT).inc(len(output))
        self._metrics.responses_finished.labels(status).inc()

    async def get_response(self, *, owner: str, response_id: str) -> tuple[Response, list[Item]]:
        """Return the response and its output."""
        response = await self._store.responses.get(owner=owner, response_id=response_id)
        return response, await self._store.responses.list_output(owner=owner, response_id=response_id)

    async def list_responses(self, *, owner: str, page: PageRequest) -> Page[Response]:
        """Return a page of the owner's responses, without their output, by the time of their creation."""
        return await self._store.responses.list_page(owner=owner, page=page)

    async def delete_response(self, *, owner: str, response_id: str) -> None:
        """Delete the response; what it left in a conversation, and what later responses continue, stays."""
        await self._store.responses.delete(owner=owner, response_id=response_id)

    async def list_input_items(self, *, owner: str, response_id: str, page: PageRequest) -> Page[Item]:
        """Return a page of the items that the response was given."""
        await self._store.responses.get(owner=owner, response_id=response_id)
        return await self._store.responses.list_input_page(owner=owner, response_id=response_id, page=page)

    async def delete_user_data(self, *, owner: str) -> None:
        """Delete everything that the owner stored."""
        await self._store.delete_owner(owner=owner)

    async def _name(self, owner: str, conversation_id: str, title: str, now_us: int) -> None:
        if title:
            await self._store.conversations.name(
                owner=owner, conversation_id=conversation_id, title=title, now_us=now_us
            )
