"""Items on their way into the store: checked, named, with their search terms, and placed where their place is known.

Items that are made at once are a microsecond apart, so that by time they are ordered as they follow one another.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from rostra_history.domain import Item, ItemKind, Response
from rostra_history.item_text import terms_of_body, text_of
from rostra_history.terms import terms_of
from rostra_history.thread import place
from rostra_history.validation import check_new_items, json_text
from rostra_kit.items import normalise_item


@dataclass(frozen=True, slots=True)
class NewItem:
    """An item that somebody hands over to be stored: its id and its body, which contains the id."""

    id: str
    body: str


def conversation_items(items: Sequence[Any], *, owner: str, conversation_id: str, now_us: int) -> list[Item]:
    """Return new items, given as parsed JSON, for a conversation; they are yet to be placed.

    Raises:
        InvalidArgumentError: There are too many, or one cannot be an item.
    """
    check_new_items(items)
    return [
        conversation_item(
            item, param=f"items[{index}]", owner=owner, conversation_id=conversation_id, now_us=now_us + index
        )
        for index, item in enumerate(items)
    ]


def conversation_item(item: Any, *, param: str, owner: str, conversation_id: str, now_us: int) -> Item:
    """Return a new item, given as parsed JSON, for a conversation; it is yet to be placed.

    Raises:
        InvalidArgumentError: It cannot be an item; `param` is what it is called.
    """
    normal = normalise_item(item, param=param)
    return Item(
        id=normal["id"],
        owner=owner,
        thread_id=conversation_id,
        body=json_text(normal, param=param),
        create_time_us=now_us,
        terms=terms_of(text_of(normal)),
    )


def parsed(items: Iterable[NewItem]) -> Iterator[Any]:
    """Return the bodies of items as parsed JSON, without those that this cannot be done with."""
    for item in items:
        with suppress(ValueError, RecursionError):
            yield json.loads(item.body)


def response_items(items: Sequence[NewItem], *, response: Response, kind: ItemKind, now_us: int) -> list[Item]:
    """Return the response's items: placed after what the response has, or, in a conversation, to be placed later."""
    unplaced = [
        Item(
            id=item.id,
            owner=response.owner,
            thread_id=response.thread_id,
            body=item.body,
            create_time_us=now_us + position,
            response_id=response.id,
            kind=kind,
            position=position,
            # Items of chains are not found: nobody could say in which conversation.
            terms=terms_of_body(item.body) if response.conversation_id else (),
        )
        for position, item in enumerate(items)
    ]
    if response.conversation_id is not None:
        return unplaced
    return place(unplaced, first_seq=response.next_seq, parent_id=response.leaf_id)
