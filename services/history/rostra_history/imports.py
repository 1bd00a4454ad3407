"""Conversations that another system, or an export, had: what is told of one, and the items that it becomes."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from rostra_history.domain import Conversation, Item
from rostra_history.drafts import conversation_item
from rostra_history.feedback import Feedback
from rostra_history.validation import parse_json
from rostra_kit.errors import InvalidArgumentError

MAX_IMPORTED_ITEMS = 20_000

# Between that many items others get their turn: a large conversation takes a second of work.
_ITEMS_PER_TURN = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedItem:
    """One item that is imported.

    Attributes:
        key: Names it among the imported ones.
        parent_key: Names the one it follows, which comes before it; empty at the beginning.
        body: OpenAI's item as JSON text.
        create_time_us: When it was created; `None` for the conversation's time.
        feedback: What its owner thought of it; `None` for nothing.
    """

    key: str
    parent_key: str
    body: str
    create_time_us: int | None = None
    feedback: Feedback | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedConversation:
    """A conversation that is imported.

    Attributes:
        create_time_us: When it was created; `None` for now.
        update_time_us: When it was changed last; `None` for the time of creation.
        active_key: Names the item that is active; empty for none, `None` for the last.
    """

    title: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    archived: bool = False
    create_time_us: int | None = None
    update_time_us: int | None = None
    items: Sequence[ImportedItem] = ()
    active_key: str | None = None


async def place_imported(imported: ImportedConversation, empty: Conversation) -> tuple[Conversation, list[Item]]:
    """Return the conversation `empty` with what was imported in it, and its items in their places.

    Raises:
        InvalidArgumentError: There are too many items, or one cannot be, or is not where it could be.
    """
    if len(imported.items) > MAX_IMPORTED_ITEMS:
        raise InvalidArgumentError(
            f"At most {MAX_IMPORTED_ITEMS} items of a conversation can be imported.", param="items"
        )
    ids: dict[str, str] = {}
    placed: list[Item] = []
    for seq, item in enumerate(imported.items):
        placed.append(_placed(item, seq, ids, empty))
        ids[item.key] = placed[-1].id
        if seq % _ITEMS_PER_TURN == _ITEMS_PER_TURN - 1:
            await asyncio.sleep(0)
    leaf_id = _leaf_id(imported, ids)
    is_one_branch = leaf_id == (placed[-1].id if placed else None) and _follow_one_another(placed)
    # As if another item had been made active once: what is 0 promises one branch.
    switch_count = 0 if is_one_branch else 1
    return replace(empty, next_seq=len(placed), leaf_id=leaf_id, switch_count=switch_count), placed


def _placed(item: ImportedItem, seq: int, ids: Mapping[str, str], conversation: Conversation) -> Item:
    param = f"items[{seq}]"
    if not item.key or item.key in ids:
        raise InvalidArgumentError("A key is needed, and each only once.", param=f"{param}.key")
    if item.parent_key and item.parent_key not in ids:
        raise InvalidArgumentError("No item before this one has this key.", param=f"{param}.parent_key")
    draft = conversation_item(
        parse_json(item.body, param=param),
        param=param,
        owner=conversation.owner,
        conversation_id=conversation.id,
        now_us=conversation.create_time_us if item.create_time_us is None else item.create_time_us,
    )
    parent_id = ids[item.parent_key] if item.parent_key else None
    return replace(draft, seq=seq, parent_id=parent_id, conversation_id=conversation.id, feedback=item.feedback)


def _leaf_id(imported: ImportedConversation, ids: Mapping[str, str]) -> str | None:
    if imported.active_key is None:
        return ids[imported.items[-1].key] if imported.items else None
    if imported.active_key and imported.active_key not in ids:
        raise InvalidArgumentError("No item has this key.", param="active_key")
    return ids[imported.active_key] if imported.active_key else None


def _follow_one_another(placed: Sequence[Item]) -> bool:
    before = [None, *(item.id for item in placed)]
    return all(item.parent_id == parent_id for item, parent_id in zip(placed, before, strict=False))
