"""Messages of imports and what they stand for."""

from rostra.history.v1.history_service_pb2 import ImportConversationRequest
from rostra.history.v1.history_service_pb2 import ImportedItem as ItemMessage
from rostra.history.v1.item_pb2 import Feedback as FeedbackMessage
from rostra_history.feedback import Feedback, check_comment
from rostra_history.feedback_mapping import rating_of
from rostra_history.imports import ImportedConversation, ImportedItem
from rostra_history.mapping import body_text, time_us_of


def imported_conversation(request: ImportConversationRequest) -> ImportedConversation:
    """Return what is to be imported.

    Raises:
        InvalidArgumentError: A time is before 1970 or after 9999, or a body is not UTF-8.
    """
    return ImportedConversation(
        title=request.title,
        metadata=request.metadata,
        archived=request.archived,
        create_time_us=time_us_of(request.create_time, param="create_time")
        if request.HasField("create_time")
        else None,
        update_time_us=time_us_of(request.update_time, param="update_time")
        if request.HasField("update_time")
        else None,
        items=[_item(item, param=f"items[{index}]") for index, item in enumerate(request.items)],
        active_key=request.active_key if request.HasField("active_key") else None,
    )


def _item(item: ItemMessage, *, param: str) -> ImportedItem:
    has_time = item.HasField("create_time")
    return ImportedItem(
        key=item.key,
        parent_key=item.parent_key,
        body=body_text(item.body, param=param),
        create_time_us=time_us_of(item.create_time, param=f"{param}.create_time") if has_time else None,
        feedback=_feedback(item.feedback, f"{param}.feedback") if item.HasField("feedback") else None,
    )


def _feedback(message: FeedbackMessage, param: str) -> Feedback:
    check_comment(message.comment)
    time_us = time_us_of(message.update_time, param=f"{param}.update_time")
    return Feedback(rating=rating_of(message), comment=message.comment, update_time_us=time_us)
