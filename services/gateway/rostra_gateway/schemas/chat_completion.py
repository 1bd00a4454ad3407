"""What the gateway reads of a request for a chat completion."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr

from rostra_gateway.schemas.fields import Count, Metadata, ModelName

_OPEN = ConfigDict(extra="allow")


class StreamOptions(BaseModel):
    """How a completion is streamed."""

    model_config = _OPEN
    include_usage: StrictBool | None = Field(None, description="Ends the stream with a chunk that holds the usage.")


class ChatMessage(BaseModel):
    """A message of the chat so far."""

    model_config = _OPEN
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    # The first error ends the reading: a body can hold millions of parts, and each error takes a kilobyte.
    content: StrictStr | Annotated[list[dict[str, Any]], Field(fail_fast=True)] | None = None


class ChatCompletionRequest(BaseModel):
    """The body of `POST /v1/chat/completions`."""

    model_config = _OPEN
    model: ModelName
    messages: list[ChatMessage] = Field(min_length=1, description="The chat so far.")
    stream: StrictBool | None = Field(None, description="Streams the answer as server-sent events.")
    stream_options: StreamOptions | None = None
    max_tokens: Count | None = None
    max_completion_tokens: Count | None = None
    n: Count | None = Field(None, le=128, description="Number of answers.")
    temperature: float | None = Field(None, ge=0, le=2, strict=True)
    top_p: float | None = Field(None, ge=0, le=1, strict=True)
    tools: list[dict[str, Any]] | None = Field(None, max_length=128)
    store: StrictBool | None = Field(None, description="Stores the answer and the messages; false when absent.")
    metadata: Metadata | None = Field(None, description="With `store`: up to 16 pairs of the client's own.")
