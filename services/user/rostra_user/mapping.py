"""Between the domain's values and their messages."""

from datetime import UTC, datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from rostra.common.v1 import caller_pb2, page_pb2
from rostra.user.v1 import api_key_pb2, audit_event_pb2, plan_pb2, session_pb2, usage_pb2, user_pb2
from rostra_kit.errors import InvalidArgumentError
from rostra_user.domain import (
    ApiKey,
    AuditEvent,
    Identity,
    LimitOverride,
    Limits,
    Page,
    Plan,
    Role,
    UsageBucket,
    User,
)
from rostra_user.service.tokens import SessionTokens
from rostra_user.times import to_datetime, to_timestamp

_ROLES = {Role.USER: caller_pb2.Role.ROLE_USER, Role.ADMIN: caller_pb2.Role.ROLE_ADMIN}
_LIMITS = ("requests_per_minute", "tokens_per_minute", "concurrent_streams", "budget_micros_per_month")

_DEFAULT_PAGE_SIZE = 20
_LARGEST_PAGE_SIZE = 100


def user_to_proto(user: User, *, now: datetime) -> user_pb2.User:
    """Return the account's message, with the limits that apply now."""
    override = user.override_at(now)
    return user_pb2.User(
        id=user.id,
        email=user.email,
        name=user.name,
        role=_ROLES[user.role],
        plan=user.plan,
        limits=limits_to_proto(user.plan_limits.overridden_by(override)),
        limit_override=None if override is None else _override_to_proto(override),
        create_time=to_timestamp(user.create_time),
        disabled=user.disabled,
    )


def override_from_proto(override: user_pb2.LimitOverride) -> LimitOverride:
    """Return what a message puts in place of a plan's limits; without an end it raises `InvalidArgumentError`."""
    end_time = optional_moment(override, "end_time", param="limit_override.ends_at")
    if end_time is None:
        raise InvalidArgumentError("An override needs an end.", param="limit_override.ends_at")
    return LimitOverride(limits=limits_from_proto(override.limits), end_time=end_time)


def role_from_proto(role: caller_pb2.Role) -> Role | None:
    """Return the role of a message, `None` when it says none."""
    return next((known for known, sent in _ROLES.items() if sent == role), None)


def plan_to_proto(plan: Plan) -> plan_pb2.Plan:
    """Return the plan's message."""
    return plan_pb2.Plan(name=plan.name, limits=limits_to_proto(plan.limits))


def plan_from_proto(plan: plan_pb2.Plan) -> Plan:
    """Return the plan of a message."""
    return Plan(name=plan.name, limits=limits_from_proto(plan.limits))


def audit_event_to_proto(event: AuditEvent) -> audit_event_pb2.AuditEvent:
    """Return the audit event's message."""
    return audit_event_pb2.AuditEvent(
        id=event.id,
        create_time=to_timestamp(event.create_time),
        event=event.event.value,
        outcome=event.outcome.value,
        user_id=event.user_id,
        actor_id=event.actor_id,
        api_key_id=event.api_key_id,
        session_id=event.session_id,
        target=event.target,
        detail=event.detail,
        email_sha256=event.email_digest or b"",
        address=event.address,
        request_id=event.request_id,
    )


def tokens_to_proto(tokens: SessionTokens) -> session_pb2.SessionTokens:
    """Return the message of a session's tokens."""
    return session_pb2.SessionTokens(
        access_token=tokens.access_token,
        refresh_token=tokens.refresh_token,
        expires_in=_duration(tokens.expires_in),
    )


def api_key_to_proto(api_key: ApiKey) -> api_key_pb2.ApiKey:
    """Return the API key's message."""
    return api_key_pb2.ApiKey(
        id=api_key.id,
        name=api_key.name,
        redacted_secret=api_key.redacted_secret,
        create_time=to_timestamp(api_key.create_time),
        expire_time=optional_to_timestamp(api_key.expire_time),
        limits=limits_to_proto(api_key.limits),
    )


def caller_to_proto(identity: Identity) -> caller_pb2.Caller:
    """Return the message that travels as the caller."""
    return caller_pb2.Caller(
        user_id=identity.user_id,
        api_key_id=identity.api_key_id,
        session_id=identity.session_id,
        role=_ROLES[identity.role],
        user_limits=limits_to_proto(identity.user_limits),
        key_limits=limits_to_proto(identity.key_limits) if identity.key_limits else None,
    )


def bucket_to_proto(bucket: UsageBucket) -> usage_pb2.UsageBucket:
    """Return the message of one day's use of one model."""
    return usage_pb2.UsageBucket(
        start_time=to_timestamp(datetime(bucket.day.year, bucket.day.month, bucket.day.day, tzinfo=UTC)),
        model=bucket.model,
        requests=bucket.requests,
        input_tokens=bucket.input_tokens,
        cached_input_tokens=bucket.cached_input_tokens,
        output_tokens=bucket.output_tokens,
        cost_micros=bucket.cost_micros,
    )


def limits_to_proto(limits: Limits) -> caller_pb2.Limits:
    """Return the message of limits: absent means not limited."""
    return caller_pb2.Limits(**{name: getattr(limits, name) for name in _LIMITS})


def limits_from_proto(limits: caller_pb2.Limits) -> Limits:
    """Return the limits of a message."""
    return Limits(**{name: getattr(limits, name) if limits.HasField(name) else None for name in _LIMITS})


def page_from_proto(page: page_pb2.PageRequest) -> Page:
    """Return which page is asked for; a negative size raises `InvalidArgumentError`."""
    if page.page_size < 0:
        raise InvalidArgumentError("'limit' must not be negative.", param="limit")
    return Page(
        size=min(page.page_size or _DEFAULT_PAGE_SIZE, _LARGEST_PAGE_SIZE),
        after=page.after_id,
        ascending=page.order == page_pb2.Order.ORDER_ASCENDING,
    )


def optional_to_timestamp(moment: datetime | None) -> Timestamp | None:
    """Return the message of a moment that may be absent."""
    return None if moment is None else to_timestamp(moment)


def optional_moment(message: Message, field: str, *, param: str = "") -> datetime | None:
    """Return the moment in the message's field, `None` when it is absent; an impossible one is at fault as `param`.

    That is what clients call it, where they do not call it as the field is named.
    """
    if not message.HasField(field):
        return None
    try:
        return to_datetime(getattr(message, field))
    except ValueError as error:
        param = param or field
        raise InvalidArgumentError(f"'{param}' is no moment that can be.", param=param) from error


def _override_to_proto(override: LimitOverride) -> user_pb2.LimitOverride:
    return user_pb2.LimitOverride(limits=limits_to_proto(override.limits), end_time=to_timestamp(override.end_time))


def _duration(span: timedelta) -> Duration:
    duration = Duration()
    duration.FromTimedelta(span)
    return duration
