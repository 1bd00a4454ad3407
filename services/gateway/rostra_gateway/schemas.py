"""What the gateway reads of OpenAI's request bodies. Everything else in them passes through untouched."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr

_OPEN = ConfigDict(extra="allow", title=None)

ModelName = Annotated[StrictStr, Field(min_length=1, max_length=256, description="Name of a model: see /v1/models.")]
Metadata = Annotated[
    dict[Annotated[StrictStr, Field(max_length=64)], Annotated[StrictStr, Field(max_length=512)]],
    Field(max_length=16, description="Up to 16 pairs of the client's own."),
]


class StreamOptions(BaseModel):
    """How a completion is streamed."""

    model_config = _OPEN
    include_usage: StrictBool | None = Field(None, description="Ends the stream with a chunk that holds the usage.")


class ChatMessage(BaseModel):
    """A message of the chat so far."""

    model_config = _OPEN
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: StrictStr | list[dict[str, Any]] | None = None


class ChatCompletionRequest(BaseModel):
    """The body of `POST /v1/chat/completions`."""

    model_config = _OPEN
    model: ModelName
    messages: list[ChatMessage] = Field(min_length=1, description="The chat so far.")
    stream: StrictBool | None = Field(None, description="Streams the answer as server-sent events.")
    stream_options: StreamOptions | None = None
    max_tokens: StrictInt | None = Field(None, ge=1, le=2**31 - 1)
    max_completion_tokens: StrictInt | None = Field(None, ge=1, le=2**31 - 1)
    n: StrictInt | None = Field(None, ge=1, le=128, description="Number of answers.")
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    tools: list[dict[str, Any]] | None = Field(None, max_length=128)
    metadata: Metadata | None = None


class ConversationReference(BaseModel):
    """A conversation by its name."""

    model_config = _OPEN
    id: StrictStr


class ResponseRequest(BaseModel):
    """The body of `POST /v1/responses`. The chat service reads the rest of it, and says what is wrong there."""

    model_config = _OPEN
    model: ModelName
    input: StrictStr | list[dict[str, Any]] | None = Field(None, description="What the model is to answer.")
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
