"""What the gateway reads of requests for responses."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from rostra_gateway.schemas.fields import Metadata, ModelName

_OPEN = ConfigDict(extra="allow")
_LARGEST_NUMBER = 2**63 - 1


class ConversationReference(BaseModel):
    """A conversation by its name."""

    model_config = _OPEN
    id: StrictStr


class Continuation(BaseModel):
    """An input, and what it continues."""

    model_config = _OPEN
    input: StrictStr | Annotated[list[dict[str, Any]], Field(fail_fast=True)] | None = Field(
        None, description="What the model is to answer."
    )
    previous_response_id: StrictStr | None = Field(None, description="Continues this response.")
    conversation: StrictStr | ConversationReference | None = Field(None, description="Continues this conversation.")

    def conversation_id(self) -> str:
        """Return the conversation's name; empty when there is none."""
        if isinstance(self.conversation, ConversationReference):
            return self.conversation.id
        return self.conversation or ""


class ResponseRequest(Continuation):
    """The body of `POST /v1/responses`. The chat service reads the rest of it, and says what is wrong there."""

    model: ModelName
    stream: StrictBool | None = Field(None, description="Streams the response's events.")
    background: StrictBool | None = Field(None, description="Runs on without the client; the response is stored.")
    store: StrictBool | None = Field(None, description="Stores the response; true when absent.")
    metadata: Metadata | None = None


class RetrieveResponseQuery(BaseModel):
    """How a stored response is read."""

    stream: bool = Field(False, description="Streams the events of a response that runs, or ran, in the background.")
    starting_after: int | None = Field(
        None, ge=0, le=_LARGEST_NUMBER, description="With `stream`: the sequence number of the last event that is had."
    )
    include: list[str] = Field([], description="Accepted as OpenAI accepts it; all that is stored is answered anyway.")

    @field_validator("starting_after")
    @classmethod
    def _belongs_to_a_stream(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is not None and not info.data.get("stream"):
            raise PydanticCustomError("needs_stream", "It is for streams only: set `stream=true` as well")
        return value
