"""Reads what `rostra_gateway.transfer.export_json` writes."""

from typing import Any

from rostra.history.v1.history_service_pb2 import ImportConversationRequest, ImportedItem
from rostra.history.v1.item_pb2 import Feedback, FeedbackRating
from rostra_gateway.body import validate
from rostra_gateway.schemas.transfer import ConversationExport, ExportedFeedback, ExportedItem
from rostra_gateway.transfer.incoming import Incoming, NotImported, body_text
from rostra_gateway.transfer.times import timestamp

_RATINGS = {
    "positive": FeedbackRating.FEEDBACK_RATING_POSITIVE,
    "negative": FeedbackRating.FEEDBACK_RATING_NEGATIVE,
}


def is_rostra_export(document: dict[str, Any]) -> bool:
    """Tell whether a conversation says that it is an export of ours."""
    return document.get("object") == "conversation.export"


def read_rostra_export(document: dict[str, Any]) -> Incoming:
    """Return what the history service has to be asked for the conversation to be as it was.

    Raises:
        InvalidArgumentError: It is not what an export holds; `param` names the field.
    """
    export = validate(ConversationExport, document)
    conversation = export.conversation
    known: set[str] = set()
    items = []
    for index, item in enumerate(export.items):
        if item.id in known:
            raise NotImported("An id occurs twice.", param=f"items[{index}].id")
        if item.parent_id is not None and item.parent_id not in known:
            raise NotImported("No item before this one has this id.", param=f"items[{index}].parent_id")
        known.add(item.id)
        items.append(_imported_item(item, param=f"items[{index}]"))
    return Incoming(
        ImportConversationRequest(
            title=conversation.title or "",
            metadata=conversation.metadata,
            archived=conversation.archived,
            create_time=timestamp(conversation.created_at),
            update_time=timestamp(conversation.updated_at),
            items=items,
            active_key=_active_key(export, known),
        )
    )


def _active_key(export: ConversationExport, known: set[str]) -> str | None:
    conversation = export.conversation
    if "active_item_id" not in conversation.model_fields_set:
        return None
    if conversation.active_item_id is not None and conversation.active_item_id not in known:
        raise NotImported("No item has this id.", param="conversation.active_item_id")
    return conversation.active_item_id or ""


def _imported_item(item: ExportedItem, *, param: str) -> ImportedItem:
    return ImportedItem(
        key=item.id,
        parent_key=item.parent_id or "",
        body=body_text(item.item, param=f"{param}.item"),
        create_time=timestamp(item.created_at),
        feedback=_feedback(item.feedback),
    )


def _feedback(feedback: ExportedFeedback | None) -> Feedback | None:
    if feedback is None:
        return None
    return Feedback(
        rating=_RATINGS[feedback.rating],
        comment=feedback.comment or "",
        update_time=timestamp(feedback.updated_at),
    )
