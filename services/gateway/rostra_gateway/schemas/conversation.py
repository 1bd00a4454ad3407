"""Conversations and their items."""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from rostra.history.v1 import conversation_pb2
from rostra_gateway.schemas.fields import Metadata, Name
from rostra_gateway.schemas.list_object import Element

_OPEN = ConfigDict(extra="allow")
_MOST_ITEMS = 20


class CreateConversationRequest(BaseModel):
    """The body of `POST /v1/conversations`."""

    model_config = _OPEN
    items: list[dict[str, Any]] | None = Field(None, max_length=_MOST_ITEMS, description="The first items.")
    metadata: Metadata | None = None


class UpdateConversationRequest(BaseModel):
    """The body of `POST /v1/conversations/{conversation_id}`: what is absent stays as it is."""

    model_config = _OPEN
    metadata: Metadata | None = Field(None, description="Takes the place of all pairs there were.")
    title: Name | None = None


class CreateItemsRequest(BaseModel):
    """The body of `POST /v1/conversations/{conversation_id}/items`."""

    model_config = _OPEN
    items: list[dict[str, Any]] = Field(min_length=1, max_length=_MOST_ITEMS, description="The items to append.")


class Conversation(Element):
    """A conversation."""

    object: Literal["conversation"] = "conversation"
    created_at: int
    metadata: dict[str, str]
    title: str | None = Field(description="`null` until there is one.")

    @classmethod
    def from_proto(cls, conversation: conversation_pb2.Conversation) -> Self:
        """Return the conversation as clients see it."""
        return cls(
            id=conversation.id,
            created_at=conversation.create_time.ToSeconds(),
            metadata=dict(conversation.metadata),
            title=conversation.title or None,
        )


class DeletedConversation(BaseModel):
    """What is left of a deleted conversation."""

    id: str
    object: Literal["conversation.deleted"] = "conversation.deleted"
    deleted: Literal[True] = True


class ItemObject(Element):
    """An item: a message, a function call, a function's output, a piece of reasoning."""

    model_config = _OPEN
    type: str
