"""How the items of a thread hang together: placing them, finding the path to one, finding those nobody needs."""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Generic, Protocol, TypeVar

from rostra_history.domain import Item, Response


class Node(Protocol):
    """What paths are made of: items, or links in their place."""

    @property
    def id(self) -> str:
        """Return the name."""

    @property
    def seq(self) -> int | None:
        """Return the rank in the thread."""

    @property
    def parent_id(self) -> str | None:
        """Return the name of the one before."""

    @property
    def conversation_id(self) -> str | None:
        """Return the name of the conversation that it is a member of."""

    @property
    def deleted(self) -> bool:
        """Tell whether only a tombstone is left."""


NodeT = TypeVar("NodeT", bound=Node)


@dataclass(frozen=True, slots=True)
class Link:
    """An item without its body."""

    id: str
    parent_id: str | None
    response_id: str | None
    conversation_id: str | None
    seq: int | None = None
    deleted: bool = False


def place(
    items: Iterable[Item], *, first_seq: int, parent_id: str | None, conversation_id: str | None = None
) -> list[Item]:
    """Return `items` as one path that begins at rank `first_seq` after the item `parent_id`.

    Args:
        items: The items in order.
        first_seq: The rank of the first.
        parent_id: The item before the first; `None` when there is none.
        conversation_id: The conversation that they become members of; `None` when they do not.
    """
    placed = []
    for seq, item in enumerate(items, first_seq):
        placed.append(replace(item, seq=seq, parent_id=parent_id, conversation_id=conversation_id))
        parent_id = item.id
    return placed


def path_to(leaf_id: str | None, items: Sequence[NodeT]) -> list[NodeT]:
    """Return the path from the root to the item `leaf_id`, as it is shown: without tombstones.

    See `whole_path_to`.
    """
    return [item for item in whole_path_to(leaf_id, items) if not item.deleted]


def whole_path_to(leaf_id: str | None, items: Sequence[NodeT]) -> list[NodeT]:
    """Return the path from the root to the item `leaf_id`, tombstones included.

    A writer reserves its place before it inserts, so the place of one that is not ready, or that died, is empty. The
    store puts a tombstone there while it remembers what the place followed, which keeps the path in its branch. Where
    an item, or the leaf, is missing all the same, the path goes on with the conversation's nearest earlier member. An
    item never comes before its parent; a parent that claims so counts as missing. Hence the path always ends.

    Args:
        leaf_id: The last item of the path; `None` for the empty path.
        items: The placed items of the thread, sorted by `seq`.
    """
    if leaf_id is None:
        return []
    thread = _Thread(items)
    path = []
    item = thread.find(leaf_id, before_seq=None)
    while item is not None:
        path.append(item)
        item = thread.parent(item)
    path.reverse()
    return path


def shown_parents(items: Sequence[NodeT]) -> dict[str, str | None]:
    """Return for each item, tombstones included, the nearest item before it that is shown; `None` where there is none.

    Args:
        items: The placed items of the thread, sorted by `seq`.
    """
    thread = _Thread(items)
    parents: dict[str, str | None] = {}
    for item in items:
        parent = thread.parent(item)
        if parent is not None:
            parents[item.id] = parents.get(parent.id) if parent.deleted else parent.id
        else:
            parents[item.id] = None
    return parents


class _Thread(Generic[NodeT]):
    def __init__(self, items: Sequence[NodeT]) -> None:
        self._by_id = {item.id: item for item in items}
        self._members = [item for item in items if item.conversation_id is not None]
        self._member_seqs = [item.seq or 0 for item in self._members]

    def find(self, item_id: str, *, before_seq: int | None) -> NodeT | None:
        item = self._by_id.get(item_id)
        if item is not None and (before_seq is None or (item.seq or 0) < before_seq):
            return item
        index = len(self._members) if before_seq is None else bisect_left(self._member_seqs, before_seq)
        return self._members[index - 1] if index else None

    def parent(self, item: NodeT) -> NodeT | None:
        return self.find(item.parent_id, before_seq=item.seq) if item.parent_id else None


def unneeded(
    links: Collection[Link],
    *,
    deleted: Response,
    leaf_ids_by_response: Mapping[str, str | None],
    keep_members: bool,
) -> set[str]:
    """Return the ids of the items that nobody needs once the response `deleted` is gone.

    Its own items and those on its path are looked at, no others: an item that just came in, of a response that is about
    to, must not be taken for a leftover. Needed are the items of responses that exist, those on their paths, and the
    conversation's members.

    Args:
        links: All items of the thread.
        deleted: The response that is being deleted.
        leaf_ids_by_response: The leaf of every other response of the thread.
        keep_members: Whether the conversation exists.
    """
    parents = {link.id: link.parent_id for link in links}
    candidates = set(_walk(deleted.leaf_id, parents)) | {link.id for link in links if link.response_id == deleted.id}
    owned = {link.id for link in links if link.response_id in leaf_ids_by_response}
    members = {link.id for link in links if keep_members and link.conversation_id is not None}
    walked: set[str] = set()
    for leaf_id in leaf_ids_by_response.values():
        walked.update(takewhile(lambda item_id: item_id not in walked, _walk(leaf_id, parents)))
    return candidates - owned - members - walked


def _walk(leaf_id: str | None, parents: Mapping[str, str | None]) -> Iterator[str]:
    seen: set[str] = set()
    while leaf_id is not None and leaf_id in parents and leaf_id not in seen:
        seen.add(leaf_id)
        yield leaf_id
        leaf_id = parents[leaf_id]
