"""Searching conversations."""

from typing import Literal, Self

from pydantic import BaseModel, Field

from rostra.common.v1.page_pb2 import PageRequest
from rostra.history.v1 import conversation_pb2
from rostra.history.v1.history_service_pb2 import SearchConversationsRequest
from rostra_gateway.schemas.conversation import Conversation
from rostra_gateway.schemas.list_object import Element


class SearchQuery(BaseModel):
    """What is looked for, and which page of it."""

    query: str = Field(min_length=1, max_length=256, description="Words, all of which must be there; 32 at most.")
    limit: int = Field(20, ge=1, le=100, description="Most matches on the page.")
    after: str = Field("", max_length=128, description="The last match of the page before.")

    def to_proto(self) -> SearchConversationsRequest:
        """Return the same for the service behind."""
        page = PageRequest(page_size=self.limit, after_id=self.after)
        return SearchConversationsRequest(query=self.query, page=page)


class ConversationMatch(Element):
    """What was found in one conversation: its newest message with all the words, or its title."""

    object: Literal["conversation.match"] = "conversation.match"
    conversation: Conversation
    item_id: str | None = Field(description="`null` when it is the title.")
    snippet: str = Field(description="Where the first word stands: about 160 characters of plain text.")
    created_at: int

    @classmethod
    def from_proto(cls, match: conversation_pb2.Match) -> Self:
        """Return the match as clients see it."""
        return cls(
            id=match.id,
            conversation=Conversation.from_proto(match.conversation),
            item_id=match.item_id or None,
            snippet=match.snippet,
            created_at=match.create_time.ToSeconds(),
        )
