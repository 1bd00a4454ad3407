"""Rows and what they stand for, both ways."""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from sqlite3 import Row
from typing import Any

from rostra_history.domain import Conversation, Item, ItemKind, Response, ResponseStatus
from rostra_history.errors import PageStartNotFound
from rostra_history.feedback import Feedback, Rating
from rostra_history.thread import Link

_INSERT_ITEM = """
INSERT INTO item (id, owner, thread_id, body, create_time_us, seq, parent_id, conversation_id, response_id, kind,
    position, deleted, feedback_rating, feedback_comment, feedback_time_us, terms)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


def to_conversation(row: Row) -> Conversation:
    """Return the conversation that a row of `conversation` holds."""
    values = {"metadata": json.loads(row["metadata"]), "archived": bool(row["archived"])}
    return Conversation(**{**fields_of(row), **values})


def to_item(row: Row) -> Item:
    """Return the item that a row of `item` holds."""
    fields = fields_of(row)
    rating, comment, time_us = (fields.pop(f"feedback_{name}") for name in ("rating", "comment", "time_us"))
    fields["feedback"] = (
        Feedback(rating=Rating(rating), comment=comment, update_time_us=time_us) if rating is not None else None
    )
    kind = row["kind"]
    return Item(**{**fields, "kind": ItemKind(kind) if kind else None, "deleted": bool(row["deleted"])})


def to_links(rows: Iterable[Row]) -> list[Link]:
    """Return the links that these rows, with the columns of `Link` alone, hold."""
    return [Link(**{**fields_of(row), "deleted": bool(row["deleted"])}) for row in rows]


def to_response(row: Row) -> Response:
    """Return the response that a row of `response` holds."""
    values = {"status": ResponseStatus(row["status"]), "background": bool(row["background"])}
    return Response(**{**fields_of(row), **values})


def metadata_text(metadata: Mapping[str, str]) -> str:
    """Return metadata as it is stored."""
    return json.dumps(dict(metadata))


def terms_text(terms: Sequence[str]) -> str:
    """Return search terms as they are stored."""
    return json.dumps(terms, ensure_ascii=False)


def insert_items(connection: sqlite3.Connection, items: Iterable[Item]) -> None:
    """Insert new items."""
    connection.executemany(_INSERT_ITEM, [_item_values(item) for item in items])


def fields_of(row: Row) -> dict[str, Any]:
    """Return a row's values by their columns."""
    values = dict(zip(row.keys(), row, strict=True))
    values.pop("terms", None)
    return values


def page_start(rows: Sequence[Row]) -> tuple[Any, ...]:
    """Return the sort key of the element after which a page begins, given the rows found for it.

    Raises:
        PageStartNotFound: There are none.
    """
    if not rows:
        raise PageStartNotFound
    return tuple(rows[0])


def _item_values(item: Item) -> tuple[Any, ...]:
    return (
        item.id,
        item.owner,
        item.thread_id,
        item.body,
        item.create_time_us,
        item.seq,
        item.parent_id,
        item.conversation_id,
        item.response_id,
        item.kind,
        item.position,
        item.deleted,
        *_feedback_values(item.feedback),
        terms_text(item.terms),
    )


def _feedback_values(feedback: Feedback | None) -> tuple[Any, ...]:
    return (feedback.rating, feedback.comment, feedback.update_time_us) if feedback else (None, None, None)
