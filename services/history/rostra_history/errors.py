"""The errors of the history service.

    NotFoundError
    ├── ChatCompletionNotFound
    ├── ConversationNotFound
    ├── FeedbackNotFound
    ├── ItemNotFound
    ├── ResponseNotFound
    └── ShareNotFound
    InvalidArgumentError
    ├── PageStartNotFound
    └── PreviousResponseNotFound    OpenAI answers 400 here: the id is a parameter, not the address
    ConflictError
    └── LeaseLost

What is another user's is not found, exactly as what does not exist.
"""

from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra_kit.errors import ConflictError, InvalidArgumentError, NotFoundError


class ConversationNotFound(NotFoundError):
    """The conversation does not exist, or is another user's."""

    default_reason = ErrorReason.ERROR_REASON_CONVERSATION_NOT_FOUND

    def __init__(self, conversation_id: str) -> None:
        super().__init__(f"Conversation with id '{conversation_id}' not found.")


class ItemNotFound(NotFoundError):
    """The item does not exist, is another user's, or is not where it was looked for."""

    default_reason = ErrorReason.ERROR_REASON_ITEM_NOT_FOUND

    def __init__(self, item_id: str) -> None:
        super().__init__(f"Item with id '{item_id}' not found.")


class FeedbackNotFound(NotFoundError):
    """Nobody has said what they think of the item."""

    default_reason = ErrorReason.ERROR_REASON_FEEDBACK_NOT_FOUND

    def __init__(self, item_id: str) -> None:
        super().__init__(f"Feedback on item with id '{item_id}' not found.")


class ShareNotFound(NotFoundError):
    """The share does not exist, is another user's, or has ended."""

    default_reason = ErrorReason.ERROR_REASON_SHARE_NOT_FOUND

    def __init__(self, share_id: str) -> None:
        super().__init__(f"Share with id '{share_id}' not found.")


class ResponseNotFound(NotFoundError):
    """The response does not exist, or is another user's."""

    default_reason = ErrorReason.ERROR_REASON_RESPONSE_NOT_FOUND

    def __init__(self, response_id: str) -> None:
        super().__init__(f"Response with id '{response_id}' not found.")


class PageStartNotFound(InvalidArgumentError):
    """A page is to begin after something that the list does not hold."""

    def __init__(self) -> None:
        super().__init__("No element of this list has the id given as 'after'.", param="after")


class ChatCompletionNotFound(NotFoundError):
    """The stored chat completion does not exist, or is another user's."""

    default_reason = ErrorReason.ERROR_REASON_CHAT_COMPLETION_NOT_FOUND

    def __init__(self, completion_id: str) -> None:
        super().__init__(f"Chat completion with id '{completion_id}' not found.")


class PreviousResponseNotFound(InvalidArgumentError):
    """There is no finished response of this name to continue."""

    default_reason = ErrorReason.ERROR_REASON_PREVIOUS_RESPONSE_NOT_FOUND

    def __init__(self, response_id: str) -> None:
        super().__init__(f"Previous response with id '{response_id}' not found.", param="previous_response_id")


class LeaseLost(ConflictError):
    """Whoever wants to end the response is not the one who runs it now."""

    default_reason = ErrorReason.ERROR_REASON_LEASE_LOST

    def __init__(self, response_id: str) -> None:
        super().__init__(f"Response with id '{response_id}' is another runner's to end.")
