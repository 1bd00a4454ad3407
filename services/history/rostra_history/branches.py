"""Where a conversation's branches part."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from rostra_history.thread import Link, shown_parents, whole_path_to


@dataclass(frozen=True, slots=True)
class Branch:
    """One way on from a fork.

    Attributes:
        item_id: Its first item.
        leaf_id: Its newest item, which is the last one on its newest way on.
        active: Whether the branch that is shown leads through here.
    """

    item_id: str
    leaf_id: str
    active: bool


@dataclass(frozen=True, slots=True)
class Fork:
    """A place where several items follow the same one.

    Attributes:
        parent_id: The item that they follow; `None` where the conversation begins.
        branches: The branches that they begin, two at least, oldest first.
    """

    parent_id: str | None
    branches: list[Branch]


def forks(links: Sequence[Link], *, leaf_id: str | None) -> list[Fork]:
    """Return the forks among what is shown, each before those on its branches.

    Args:
        links: The conversation's members, sorted by `seq`.
        leaf_id: The active item.
    """
    parents = shown_parents(links)
    shown = [link.id for link in links if not link.deleted]
    newest = {item_id: index for index, item_id in enumerate(shown)}
    for item_id in reversed(shown):
        parent_id = parents[item_id]
        if parent_id is not None:
            newest[parent_id] = max(newest[parent_id], newest[item_id])
    active_ids = {link.id for link in whole_path_to(leaf_id, links)}
    branches: dict[str | None, list[Branch]] = defaultdict(list)
    for item_id in shown:
        branches[parents[item_id]].append(Branch(item_id, shown[newest[item_id]], item_id in active_ids))
    return [Fork(parent_id, branches[parent_id]) for parent_id in (None, *shown) if len(branches[parent_id]) > 1]
