"""Shares, and what they show."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from rostra.history.v1 import share_pb2
from rostra_gateway.lists import PageQuery
from rostra_gateway.schemas.fields import Seconds
from rostra_gateway.schemas.list_object import Element


class CreateShareRequest(BaseModel):
    """The body of `POST /v1/conversations/{conversation_id}/shares`."""

    model_config = ConfigDict(extra="forbid")
    expires_at: Seconds | None = Field(
        None, strict=True, description="When the share ends, in seconds since 1970; never when absent."
    )


class SharesQuery(PageQuery):
    """Which page of shares is asked for, and of which conversation."""

    conversation_id: str = Field("", max_length=128, description="Lists the shares of this conversation alone.")


class SharedItemsQuery(PageQuery):
    """Which page of a shared conversation is asked for: people read from its beginning."""

    order: Literal["asc", "desc"] = Field("asc", description="`asc` for oldest first, `desc` for newest first.")


class Share(Element):
    """A share: a conversation as it was at one time, for whoever knows the share's id."""

    object: Literal["conversation.share"] = "conversation.share"
    conversation_id: str
    title: str | None = Field(description="The conversation's title at that time; `null` when there was none.")
    url: str = Field(description="Where people read it: a path, unless the installation knows its own address.")
    created_at: int
    expires_at: int | None

    @classmethod
    def from_proto(cls, share: share_pb2.Share, *, public_url: str | None) -> Self:
        """Return the share as its owner sees it, with a link to the page for people."""
        return cls(
            id=share.id,
            conversation_id=share.conversation_id,
            title=share.title or None,
            url=f"{public_url or ''}/share/{share.id}",
            created_at=share.create_time.ToSeconds(),
            expires_at=share.expire_time.ToSeconds() if share.HasField("expire_time") else None,
        )


class DeletedShare(BaseModel):
    """What is left of a share that was ended."""

    id: str
    object: Literal["conversation.share.deleted"] = "conversation.share.deleted"
    deleted: Literal[True] = True


class SharedText(BaseModel):
    """A part of a message: text."""

    type: Literal["input_text", "output_text", "text"]
    text: str


class SharedRefusal(BaseModel):
    """A part of a message: the model's refusal."""

    type: Literal["refusal"]
    refusal: str


class SharedMessage(Element):
    """What a share shows: who said what."""

    type: Literal["message"]
    role: Literal["user", "assistant"]
    content: list[SharedText | SharedRefusal]
