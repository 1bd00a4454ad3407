"""What the history service keeps: conversations, items and responses.

An **item** is stored once, whoever refers to it. A **thread** is what items hang together in: a conversation (the
thread's id is the conversation's), or a chain of responses (the thread's id is that of the first). Within a thread,
items form a tree by `parent_id`; the context of an item is the path from the root to it (`rostra_history.thread`). A
conversation branches where another item than its last one is made *active*: what is appended follows the active item,
and the branch that ends there is the one that is shown.

An item is *placed* once it has a `seq`, its rank in the thread. Items of a chain are placed when they are stored. Those
of a response in a conversation are placed when the response has ended well: only then do they join the conversation,
its input together with its output, and a response that failed leaves the conversation as it was.

All times are microseconds since 1970, UTC. All bodies are JSON text and are never looked into here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Generic, Self, TypeVar

from rostra_history.feedback import Feedback

T = TypeVar("T")


class ItemView(StrEnum):
    """Which items of a conversation are listed, and in which order."""

    ACTIVE_BRANCH = "active_branch"
    """Those of the branch that is shown, as they follow one another."""
    ALL_BRANCHES = "all_branches"
    """All, as they came."""


class ItemKind(StrEnum):
    """What an item is to the response that it belongs to."""

    INPUT = "input"
    OUTPUT = "output"


class ResponseStatus(StrEnum):
    """How far a response is."""

    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    INCOMPLETE = "incomplete"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Tell whether the response has ended."""
        return self not in (ResponseStatus.QUEUED, ResponseStatus.IN_PROGRESS)

    @property
    def ended_well(self) -> bool:
        """Tell whether there is an answer that can be continued, if perhaps a cut one."""
        return self in (ResponseStatus.COMPLETED, ResponseStatus.INCOMPLETE)


@dataclass(frozen=True, slots=True)
class BranchPoint:
    """A point of a branch: the active item, the rank after it, and how often another one had been made active."""

    leaf_id: str | None
    next_seq: int
    switch_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A place where items follow one another.

    Attributes:
        title: What people see; empty until there is one.
        archived: Whether it is put away.
        next_seq: The rank that the next item gets.
        leaf_id: The active item, the last one shown, which the next item follows; `None` before the first.
        switch_count: How often another item was made active; while it is 0 there is one branch, in order of rank.
    """

    id: str
    owner: str
    metadata: Mapping[str, str]
    title: str
    create_time_us: int
    update_time_us: int
    archived: bool = False
    next_seq: int = 0
    leaf_id: str | None = None
    switch_count: int = 0

    @property
    def branch_point(self) -> BranchPoint:
        """Return where it is continued now."""
        return BranchPoint(self.leaf_id, self.next_seq, self.switch_count)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationChanges:
    """What is to become of a conversation; what is `None` stays as it is.

    Attributes:
        metadata: All pairs, in place of those there are.
        title: The title; empty to have one made of the next turn.
        archived: Whether it is put away.
        active_item_id: The item to be made active; empty for none, that is, to begin anew.
    """

    metadata: Mapping[str, str] | None = None
    title: str | None = None
    archived: bool | None = None
    active_item_id: str | None = None


class ConversationTime(StrEnum):
    """The times by which conversations can be listed."""

    CREATED = "create_time_us"
    UPDATED = "update_time_us"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationFilter:
    """Which conversations are listed, and by which time.

    Attributes:
        archived: Whether those that are put away are listed, or those that are not.
        order_by: The time by which they are listed.
        min_create_time_us: The earliest time of creation; `None` for no bound.
        max_create_time_us: The first time of creation that is too late; `None` for no bound.
    """

    archived: bool = False
    order_by: ConversationTime = ConversationTime.CREATED
    min_create_time_us: int | None = None
    max_create_time_us: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One element of a thread.

    Attributes:
        seq: The rank in the thread, greater than the parent's; `None` until the item is placed.
        parent_id: The item before this one; `None` at the root, and until the item is placed.
        conversation_id: The conversation that the item is a member of; `None` for items of chains, of responses that
            have not ended well, and of responses that continue a conversation's response without joining it.
        response_id: The response that the item belongs to; `None` for an item created directly.
        kind: What the item is to that response; `None` for an item created directly.
        position: Its place among the response's input, or output.
        deleted: Whether only a tombstone is left: it has no body, no list shows it, and paths lead through it.
        feedback: What its owner thinks of it; `None` while they have not said.
        terms: The words by which it is found in a conversation; known on the way into the store only.
    """

    id: str
    owner: str
    thread_id: str
    body: str
    create_time_us: int
    seq: int | None = None
    parent_id: str | None = None
    conversation_id: str | None = None
    response_id: str | None = None
    kind: ItemKind | None = None
    position: int = 0
    deleted: bool = False
    feedback: Feedback | None = None
    terms: tuple[str, ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One run of a model.

    Attributes:
        leaf_id: The last placed item of the path that ends with this response; `None` while there is none. In a
            conversation, until the response joins it, this is the item that was active when its context was read.
        next_seq: The rank that an item after `leaf_id` gets at least.
        switch_count: The conversation's at that time: while it is the same, the branch is.
        body: OpenAI's `response` object without its output.
        background: Whether it is queued first, and then run by whoever claims it.
        attempt: How many runners have claimed it: the fencing token, as only the present one may end the response. 0 is
            whoever runs it for a waiting client.
    """

    id: str
    owner: str
    thread_id: str
    status: ResponseStatus
    body: str
    create_time_us: int
    previous_response_id: str | None = None
    conversation_id: str | None = None
    leaf_id: str | None = None
    next_seq: int = 0
    switch_count: int = 0
    background: bool = False
    attempt: int = 0

    @property
    def branch_point(self) -> BranchPoint:
        """Return which point of its conversation it continues, until it joins that."""
        return BranchPoint(self.leaf_id, self.next_seq, self.switch_count)

    @property
    def joins_conversation(self) -> bool:
        """Tell whether its items become members of a conversation."""
        return self.conversation_id is not None and self.status.ended_well

    def followed_by(self, items: Sequence[Item]) -> Self:
        """Return the response with its path extended by `items`, if these are placed."""
        if not items or items[-1].seq is None:
            return self
        return replace(self, leaf_id=items[-1].id, next_seq=items[-1].seq + 1)


@dataclass(frozen=True, slots=True)
class Context:
    """What a new response continues.

    Attributes:
        items: The items before it, oldest first.
        referenced: The items that its input refers to.
        branch_point: To which point of the conversation `items` lead; `None` where they are not a conversation's.
    """

    items: list[Item]
    referenced: list[Item]
    branch_point: BranchPoint | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """One page of a list: up to `limit` elements after the one named `after_id`, or from the list's beginning."""

    limit: int
    after_id: str | None = None
    descending: bool = True


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A page and whether another one follows."""

    elements: list[T]
    has_more: bool

    @classmethod
    def cut(cls, elements: list[T], limit: int) -> "Page[T]":
        """Make a page of `limit` elements from a list that was asked for one more."""
        return cls(elements[:limit], has_more=len(elements) > limit)
