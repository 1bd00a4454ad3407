"""Accounts."""

from typing import Literal, Self

from pydantic import BaseModel, Field, SecretStr

from rostra.common.v1.caller_pb2 import Role
from rostra.user.v1 import user_pb2
from rostra_gateway.schemas.fields import Email, Name
from rostra_gateway.schemas.limits import Limits
from rostra_gateway.schemas.secrets import SECRETIVE


class UpdateMeRequest(BaseModel):
    """The body of `PATCH /v1/me`: what is absent stays as it is."""

    model_config = SECRETIVE
    name: Name | None = None
    email: Email | None = None
    new_password: SecretStr | None = Field(None, max_length=1024, description="Ends all other sessions.")
    current_password: SecretStr | None = Field(
        None, max_length=1024, description="Needed for a new address or password."
    )


class User(BaseModel):
    """An account."""

    id: str
    object: Literal["user"] = "user"
    email: str
    name: str
    role: Literal["user", "admin"]
    plan: str
    limits: Limits
    created_at: int

    @classmethod
    def from_proto(cls, user: user_pb2.User) -> Self:
        """Return the account as clients see it."""
        return cls(
            id=user.id,
            email=user.email,
            name=user.name,
            role="admin" if user.role == Role.ROLE_ADMIN else "user",
            plan=user.plan,
            limits=Limits.from_proto(user.limits),
            created_at=user.create_time.ToSeconds(),
        )
