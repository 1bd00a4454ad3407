"""Conversations and their items."""

from typing import Annotated, Any, Literal, Self

from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr

from rostra.history.v1 import conversation_pb2
from rostra.history.v1.history_service_pb2 import (
    CONVERSATION_TIME_CREATED,
    CONVERSATION_TIME_UPDATED,
    ListConversationsRequest,
)
from rostra.history.v1.history_service_pb2 import UpdateConversationRequest as UpdateConversationRequestMessage
from rostra_gateway.lists import PageQuery
from rostra_gateway.path_ids import ID_PATTERN
from rostra_gateway.schemas.fields import Metadata, ModelName, Name, Seconds
from rostra_gateway.schemas.list_object import Element

_OPEN = ConfigDict(extra="allow")
_MOST_ITEMS = 20
_TIMES = {"created_at": CONVERSATION_TIME_CREATED, "updated_at": CONVERSATION_TIME_UPDATED}


class CreateConversationRequest(BaseModel):
    """The body of `POST /v1/conversations`."""

    model_config = _OPEN
    items: list[dict[str, Any]] | None = Field(None, max_length=_MOST_ITEMS, description="The first items.")
    metadata: Metadata | None = None


class UpdateConversationRequest(BaseModel):
    """The body of `POST /v1/conversations/{conversation_id}`: what is absent stays as it is."""

    model_config = _OPEN
    metadata: Metadata | None = Field(None, description="Takes the place of all pairs there were.")
    title: Name | None = Field(None, description="Empty to have one made of the next turn.")
    archived: StrictBool | None = Field(None, description="Whether the list of conversations leaves it out.")
    active_item_id: Annotated[StrictStr, Field(pattern=ID_PATTERN)] | None = Field(
        None,
        description="The item to be the last one shown, which the next one follows; `null` to begin anew. What is said"
        " then becomes a branch beside what followed before.",
    )

    def to_proto(self, conversation_id: str) -> UpdateConversationRequestMessage:
        """Return the same for the service behind: which item is active changes with `null` too."""
        request = UpdateConversationRequestMessage(
            conversation_id=conversation_id,
            metadata=None if self.metadata is None else conversation_pb2.Metadata(pairs=self.metadata),
            title=self.title,
            archived=self.archived,
        )
        if "active_item_id" in self.model_fields_set:
            request.active_item_id = self.active_item_id or ""
        return request


class ConversationQuery(PageQuery):
    """Which conversations are asked for."""

    archived: bool = Field(False, description="`true` for those that are put away, and for no others.")
    order_by: Literal["created_at", "updated_at"] = Field("created_at", description="The time by which to list.")
    created_after: Seconds | None = Field(
        None, description="Those created at this time, in seconds since 1970, or later."
    )
    created_before: Seconds | None = Field(None, description="Those created before this time, in seconds since 1970.")

    def to_request(self) -> ListConversationsRequest:
        """Return the same for the service behind."""
        return ListConversationsRequest(
            page=self.to_proto(),
            archived=self.archived,
            order_by=_TIMES[self.order_by],
            min_create_time=_timestamp(self.created_after),
            max_create_time=_timestamp(self.created_before),
        )


class GenerateTitleRequest(BaseModel):
    """The body of `POST /v1/conversations/{conversation_id}/title`."""

    model_config = _OPEN
    model: ModelName


class CreateItemsRequest(BaseModel):
    """The body of `POST /v1/conversations/{conversation_id}/items`."""

    model_config = _OPEN
    items: list[dict[str, Any]] = Field(min_length=1, max_length=_MOST_ITEMS, description="The items to append.")


class Conversation(Element):
    """A conversation."""

    object: Literal["conversation"] = "conversation"
    created_at: int
    updated_at: int = Field(description="When it, or what is in it, changed last.")
    metadata: dict[str, str]
    title: str | None = Field(description="`null` until there is one.")
    archived: bool
    active_item_id: str | None = Field(description="The last item shown, which the next one follows.")

    @classmethod
    def from_proto(cls, conversation: conversation_pb2.Conversation) -> Self:
        """Return the conversation as clients see it."""
        return cls(
            id=conversation.id,
            created_at=conversation.create_time.ToSeconds(),
            updated_at=conversation.update_time.ToSeconds(),
            metadata=dict(conversation.metadata),
            title=conversation.title or None,
            archived=conversation.archived,
            active_item_id=conversation.active_item_id or None,
        )


class Branch(BaseModel):
    """One way on from a fork."""

    item_id: str = Field(description="Its first item.")
    leaf_id: str = Field(description="Its newest item: make this one active to show the branch.")
    active: bool = Field(description="Whether the branch that is shown leads through here.")


class Fork(Element):
    """A place where several items follow the same one; its name is that of the item that was first there."""

    object: Literal["conversation.fork"] = "conversation.fork"
    parent_id: str | None = Field(description="The item that they follow; `null` where the conversation begins.")
    branches: list[Branch] = Field(description="Two at least, oldest first.")

    @classmethod
    def from_proto(cls, fork: conversation_pb2.Fork) -> Self:
        """Return the fork as clients see it."""
        branches = [
            Branch(item_id=branch.item_id, leaf_id=branch.leaf_id, active=branch.active) for branch in fork.branches
        ]
        return cls(id=branches[0].item_id, parent_id=fork.parent_id or None, branches=branches)


class DeletedConversation(BaseModel):
    """What is left of a deleted conversation."""

    id: str
    object: Literal["conversation.deleted"] = "conversation.deleted"
    deleted: Literal[True] = True


class ItemObject(Element):
    """An item: a message, a function call, a function's output, a piece of reasoning."""

    model_config = _OPEN
    type: str


def _timestamp(seconds: int | None) -> Timestamp | None:
    return None if seconds is None else Timestamp(seconds=seconds)
