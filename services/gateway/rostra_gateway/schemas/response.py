"""What the gateway reads of a request for a response."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr

from rostra_gateway.schemas.fields import Metadata, ModelName

_OPEN = ConfigDict(extra="allow")


class ConversationReference(BaseModel):
    """A conversation by its name."""

    model_config = _OPEN
    id: StrictStr


class ResponseRequest(BaseModel):
    """The body of `POST /v1/responses`. The chat service reads the rest of it, and says what is wrong there."""

    model_config = _OPEN
    model: ModelName
    input: StrictStr | Annotated[list[dict[str, Any]], Field(fail_fast=True)] | None = Field(
        None, description="What the model is to answer."
    )
    stream: StrictBool | None = Field(None, description="Streams the response's events.")
    store: StrictBool | None = Field(None, description="Stores the response; true when absent.")
    previous_response_id: StrictStr | None = Field(None, description="Continues this response.")
    conversation: StrictStr | ConversationReference | None = Field(None, description="Continues this conversation.")
    metadata: Metadata | None = None

    def conversation_id(self) -> str:
        """Return the conversation's name; empty when there is none."""
        if isinstance(self.conversation, ConversationReference):
            return self.conversation.id
        return self.conversation or ""
