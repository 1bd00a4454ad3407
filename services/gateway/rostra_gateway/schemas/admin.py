"""What administrators see and change."""

import math
from typing import Literal, Self

from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import BaseModel, ConfigDict, Field, StrictBool

from rostra.common.v1.caller_pb2 import Role
from rostra.user.v1 import audit_event_pb2, plan_pb2, user_pb2
from rostra_gateway.lists import PageQuery
from rostra_gateway.schemas.fields import Seconds
from rostra_gateway.schemas.limits import Limits, LimitsRequest
from rostra_gateway.schemas.list_object import Element
from rostra_gateway.schemas.usage import UsageBucket, UsageQuery
from rostra_gateway.schemas.user import User

_ID = r"^[A-Za-z0-9_-]*$"


class UsersQuery(PageQuery):
    """Which accounts are asked for."""

    email: str = Field("", max_length=320, pattern=r"^[^\x00-\x1f\x7f]*$", description="How the addresses begin.")


class AuditQuery(PageQuery):
    """Which audit events are asked for."""

    user_id: str = Field("", max_length=128, pattern=_ID, description="The account that it happened to.")
    event: str = Field("", max_length=32, pattern=r"^[a-z_]*$", description="What happened, such as `logged_in`.")
    start_time: Seconds | None = Field(None, description="First second that counts.")
    end_time: Seconds | None = Field(None, description="First second that does not count.")


class AllUsageQuery(UsageQuery):
    """Whose use is asked for, and of which time: 366 days at most."""

    user_id: str = Field("", max_length=128, pattern=_ID, description="One user's; everybody's when absent.")


class LimitOverride(BaseModel):
    """What is in place of a plan's limits, for one account and until a moment; an absent limit is the plan's."""

    model_config = ConfigDict(extra="forbid")
    limits: LimitsRequest
    ends_at: Seconds

    @classmethod
    def from_proto(cls, override: user_pb2.LimitOverride) -> Self:
        """Return the override as administrators see it; a part of a second counts as a whole one."""
        limits = LimitsRequest(**Limits.from_proto(override.limits).model_dump())
        return cls(limits=limits, ends_at=math.ceil(override.end_time.ToMicroseconds() / 1_000_000))

    def to_proto(self) -> user_pb2.LimitOverride:
        """Return the same for the services behind."""
        return user_pb2.LimitOverride(limits=self.limits.to_proto(), end_time=Timestamp(seconds=self.ends_at))


class UpdateUserRequest(BaseModel):
    """The body of `PATCH /v1/admin/users/{user_id}`: what is absent stays as it is."""

    model_config = ConfigDict(extra="forbid")
    role: Literal["user", "admin"] | None = None
    plan: str | None = Field(None, min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")
    disabled: StrictBool | None = Field(None, description="Whether the account is closed to its user.")
    limit_override: LimitOverride | None = Field(
        None, description="What is to be in place of the plan's limits; `null` lets those apply again."
    )

    @property
    def ends_override(self) -> bool:
        """Tell whether the plan's limits are to apply again."""
        return "limit_override" in self.model_fields_set and self.limit_override is None


class AdministeredUser(User, Element):
    """An account, as administrators see it."""

    disabled: bool
    limit_override: LimitOverride | None

    @classmethod
    def from_proto(cls, user: user_pb2.User) -> Self:
        """Return the account as administrators see it."""
        override = LimitOverride.from_proto(user.limit_override) if user.HasField("limit_override") else None
        return cls(**User.from_proto(user).model_dump(), disabled=user.disabled, limit_override=override)


class PutPlanRequest(BaseModel):
    """The body of `PUT /v1/admin/plans/{plan}`."""

    model_config = ConfigDict(extra="forbid")
    limits: LimitsRequest


class Plan(Element):
    """A plan; its name is its id."""

    object: Literal["plan"] = "plan"
    limits: Limits

    @classmethod
    def from_proto(cls, plan: plan_pb2.Plan) -> Self:
        """Return the plan as clients see it."""
        return cls(id=plan.name, limits=Limits.from_proto(plan.limits))


class DeletedPlan(BaseModel):
    """What is left of a deleted plan."""

    id: str
    object: Literal["plan.deleted"] = "plan.deleted"
    deleted: Literal[True] = True


class AuditEvent(Element):
    """Something that happened to an account, or that an administrator did."""

    object: Literal["audit_event"] = "audit_event"
    created_at: int
    event: str
    outcome: str
    user_id: str | None
    actor_id: str | None
    api_key_id: str | None
    session_id: str | None
    target: str | None
    detail: str | None
    email_sha256: str | None = Field(description="Digest of the e-mail address that was tried, hexadecimal.")
    address: str | None
    request_id: str | None

    @classmethod
    def from_proto(cls, event: audit_event_pb2.AuditEvent) -> Self:
        """Return the event as administrators see it."""
        return cls(
            id=event.id,
            created_at=event.create_time.ToSeconds(),
            event=event.event,
            outcome=event.outcome,
            user_id=event.user_id or None,
            actor_id=event.actor_id or None,
            api_key_id=event.api_key_id or None,
            session_id=event.session_id or None,
            target=event.target or None,
            detail=event.detail or None,
            email_sha256=event.email_sha256.hex() or None,
            address=event.address or None,
            request_id=event.request_id or None,
        )


class AllUsage(BaseModel):
    """What was used, by day and model, oldest first."""

    object: Literal["list"] = "list"
    data: list[UsageBucket]


def role_to_proto(role: Literal["user", "admin"] | None) -> Role:
    """Return the role for the services behind; unspecified keeps what is there."""
    return {None: Role.ROLE_UNSPECIFIED, "user": Role.ROLE_USER, "admin": Role.ROLE_ADMIN}[role]
