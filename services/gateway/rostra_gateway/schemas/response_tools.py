"""What the gateway reads of requests beside those for responses, and what it answers."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictStr

from rostra_gateway.schemas.fields import ModelName
from rostra_gateway.schemas.response import Continuation

_OPEN = ConfigDict(extra="allow")


class InputTokensRequest(Continuation):
    """The body of `POST /v1/responses/input_tokens`. The chat service reads the rest of it."""

    model: ModelName | None = None
    personality: Annotated[StrictStr, Field(max_length=64)] | None = Field(
        None, description="Accepted as OpenAI accepts it; models here have none."
    )


class CompactRequest(Continuation):
    """The body of `POST /v1/responses/compact`. The chat service reads the rest of it."""

    model: ModelName


class InputTokens(BaseModel):
    """How many tokens an input has."""

    object: Literal["response.input_tokens"] = "response.input_tokens"
    input_tokens: int


class ResponseCompaction(BaseModel):
    """What takes the place of a long input."""

    model_config = _OPEN
    id: str
    object: Literal["response.compaction"]
    created_at: int
    output: list[dict[str, Any]]
    usage: dict[str, Any]
