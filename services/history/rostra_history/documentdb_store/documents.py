"""Documents and what they stand for, both ways.

Bodies and metadata are kept as JSON text: as native documents they would lose what BSON cannot hold, which is certain
keys, long numbers and deep nesting.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from rostra_history.documentdb_store.database import Document
from rostra_history.documentdb_store.places import first_append, first_move
from rostra_history.domain import Conversation, Item, ItemKind, Response, ResponseStatus
from rostra_history.feedback import Feedback, Rating
from rostra_history.leases import Job
from rostra_history.share import Share
from rostra_history.terms import terms_of
from rostra_history.thread import Link


def conversation_document(conversation: Conversation) -> Document:
    """Return a new conversation's document; `appends` is what `places` remembers."""
    document, leaf_id = _document(conversation), conversation.leaf_id
    return document | {
        "metadata": metadata_text(conversation.metadata),
        "deleting": False,
        "terms": terms_of(conversation.title),
        "appends": first_move(leaf_id) if conversation.switch_count else first_append(leaf_id, conversation.next_seq),
    }


def to_conversation(document: Document) -> Conversation:
    """Return the conversation that a document holds."""
    return Conversation(**_values(Conversation, document) | {"metadata": json.loads(document["metadata"])})


def metadata_text(metadata: Mapping[str, str]) -> str:
    """Return metadata as it is stored."""
    return json.dumps(dict(metadata))


def item_document(item: Item) -> Document:
    """Return an item's document; its `terms` are what `search` looks for."""
    return _document(item) | {
        "kind": item.kind.value if item.kind else None,
        "feedback": feedback_document(item.feedback) if item.feedback else None,
    }


def to_item(document: Document) -> Item:
    """Return the item that a document holds."""
    kind, feedback = document["kind"], document.get("feedback")
    values: Document = {
        "kind": ItemKind(kind) if kind else None,
        "feedback": Feedback(**feedback | {"rating": Rating(feedback["rating"])}) if feedback else None,
        "terms": tuple(document.get("terms", ())),
    }
    return Item(**_values(Item, document) | values)


def feedback_document(feedback: Feedback) -> Document:
    """Return what an item's document holds of feedback."""
    return asdict(feedback) | {"rating": feedback.rating.value}


def share_document(share: Share) -> Document:
    """Return a share's document."""
    return _document(share)


def to_share(document: Document) -> Share:
    """Return the share that a document holds."""
    return Share(**_values(Share, document))


LINK_FIELDS = {"parent_id": 1, "response_id": 1, "conversation_id": 1, "seq": 1, "deleted": 1}
"""The projection for what a link holds."""


def to_link(document: Document) -> Link:
    """Return the link that an item's document holds."""
    return Link(**_values(Link, document))


def response_document(response: Response, *, claim_time_us: int, job: Job | None) -> Document:
    """Return a new response's document.

    `ending` is what `ending.finish` decides, until it is reached; `run` is what `queue` needs, and goes when the
    response ends or is deleted.
    """
    return _document(response) | {
        "status": response.status.value,
        "deleting": False,
        "ending": None,
        "output_ids": [],
        "run": {
            "claim_time_us": claim_time_us,
            "lease_end_us": 0,
            "tries": 0,
            "cancel_requested": False,
            "job": asdict(job) if job else None,
        },
    }


def unfinished() -> Document:
    """Return the filter for responses that have not ended."""
    return {"status": {"$in": [status.value for status in ResponseStatus if not status.is_final]}}


WITHOUT_TERMS = {"terms": 0}
"""The projection for all of an item but what only `search` needs, which may be as large as the body."""

WITHOUT_RUN = {"run": 0}
"""The projection for all of a response but what only runners need, which may be large."""

END_OF_RUN = {"run": ""}
"""The fields to unset when a response ends, or begins to be deleted."""


def to_response(document: Document) -> Response:
    """Return the response that a document holds."""
    return Response(**_values(Response, document) | {"status": ResponseStatus(document["status"])})


def _document(entity: Any) -> Document:
    values = asdict(entity)
    return {"_id": values.pop("id")} | values


def _values(entity_class: Any, document: Document) -> dict[str, Any]:
    values = document | {"id": document["_id"]}
    # What an older version did not know of has its default.
    return {field.name: values[field.name] for field in fields(entity_class) if field.name in values}
