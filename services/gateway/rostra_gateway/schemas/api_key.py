"""API keys."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from rostra.user.v1 import api_key_pb2
from rostra_gateway.schemas.fields import Name, Seconds
from rostra_gateway.schemas.limits import Limits, LimitsRequest
from rostra_gateway.schemas.list_object import Element


class CreateApiKeyRequest(BaseModel):
    """The body of `POST /v1/api_keys`."""

    model_config = ConfigDict(extra="forbid")
    name: Name = ""
    expires_at: Seconds | None = Field(
        None, strict=True, description="When the key ends, in seconds since 1970; never when absent."
    )
    limits: LimitsRequest | None = None


class ApiKey(Element):
    """An API key, without its secret."""

    object: Literal["api_key"] = "api_key"
    name: str
    redacted_value: str = Field(description="The secret's beginning and end, for people to tell keys apart.")
    created_at: int
    expires_at: int | None
    limits: Limits

    @classmethod
    def from_proto(cls, key: api_key_pb2.ApiKey, **more: str) -> Self:
        """Return the key as clients see it, with what a subclass has `more`."""
        return cls(
            id=key.id,
            name=key.name,
            redacted_value=key.redacted_secret,
            created_at=key.create_time.ToSeconds(),
            expires_at=key.expire_time.ToSeconds() if key.HasField("expire_time") else None,
            limits=Limits.from_proto(key.limits),
            **more,
        )


class CreatedApiKey(ApiKey):
    """A new API key, with its secret."""

    value: str = Field(repr=False, description="The secret. It is not stored and cannot be had again.")


class DeletedApiKey(BaseModel):
    """What is left of a revoked API key."""

    id: str
    object: Literal["api_key.deleted"] = "api_key.deleted"
    deleted: Literal[True] = True
