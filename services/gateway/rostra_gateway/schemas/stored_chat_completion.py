"""Stored chat completions, and the messages that they were asked with."""

from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field

from rostra.history.v1 import chat_completion_pb2 as pb
from rostra_gateway.lists import PageQuery
from rostra_gateway.schemas.fields import Metadata
from rostra_gateway.schemas.list_object import Element

_OPEN = ConfigDict(extra="allow")
# The kinds of parts that OpenAI's list of messages has.
_SHOWN_PARTS = ("text", "image_url")


class OldestFirstQuery(PageQuery):
    """Which page of a list is asked for, of one that OpenAI has oldest first."""

    order: Literal["asc", "desc"] = Field("asc", description="`asc` for oldest first, `desc` for newest first.")


class ListChatCompletionsQuery(OldestFirstQuery):
    """Which stored completions are asked for."""

    model: str = Field("", max_length=256, description="Only those of this model.")


class MetadataFilter(BaseModel):
    """Pairs that must all be among a completion's metadata."""

    metadata: Metadata = {}


class UpdateChatCompletionRequest(BaseModel):
    """The body of `POST /v1/chat/completions/{completion_id}`."""

    model_config = _OPEN
    metadata: Metadata | None = Field(description="Takes the place of all pairs there were.")


class StoredChatCompletion(Element):
    """A completion as it was answered, with its metadata."""

    model_config = _OPEN
    metadata: dict[str, str]


class StoredChatMessage(Element):
    """A message as it was sent; where its content came in parts, these stand apart."""

    model_config = _OPEN
    content: str | None
    name: str | None
    content_parts: list[dict[str, Any]] | None


class DeletedChatCompletion(BaseModel):
    """What is left of a deleted completion."""

    id: str
    object: Literal["chat.completion.deleted"] = "chat.completion.deleted"
    deleted: Literal[True] = True


def completion_object(completion: pb.ChatCompletion) -> dict[str, Any]:
    """Return a stored completion as clients see it."""
    return {**orjson.loads(completion.body), "metadata": dict(completion.metadata)}


def message_object(message: pb.ChatMessage) -> dict[str, Any]:
    """Return a message of a stored completion as clients see it."""
    body = orjson.loads(message.body)
    content = body.get("content")
    parts = None
    if isinstance(content, list):
        parts = [part for part in content if isinstance(part, dict) and part.get("type") in _SHOWN_PARTS]
        content = None
    return {**body, "id": message.id, "content": content, "name": body.get("name"), "content_parts": parts}
