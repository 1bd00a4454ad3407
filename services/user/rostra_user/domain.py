"""What the user service knows: accounts, sessions, API keys, limits and usage. Plain values, no I/O."""

from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from enum import StrEnum

DEFAULT_PLAN = "default"


class Role(StrEnum):
    """What a user may do beyond their own data."""

    USER = "user"
    ADMIN = "admin"


class AuditKind(StrEnum):
    """What the audit log tells of."""

    REGISTERED = "registered"
    LOGGED_IN = "logged_in"
    LOGIN_FAILED = "login_failed"
    REFRESH_TOKEN_REUSED = "refresh_token_reused"  # noqa: S105 - no secret, an event
    SESSION_ENDED = "session_ended"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - no secret, an event
    EMAIL_CHANGED = "email_changed"
    API_KEY_CREATED = "api_key_created"
    API_KEY_REVOKED = "api_key_revoked"
    ACCOUNT_DELETED = "account_deleted"
    ACCOUNT_CHANGED = "account_changed"
    PLAN_CHANGED = "plan_changed"
    PLAN_DELETED = "plan_deleted"
    ADMIN_ACCESS = "admin_access"


class AuditOutcome(StrEnum):
    """How what the audit log tells of ended."""

    OK = "ok"
    REFUSED = "refused"


class UsageOutcome(StrEnum):
    """How a call that used a model ended."""

    FINISHED = "finished"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What somebody may use; `None` means not limited."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent_streams: int | None = None
    budget_micros_per_month: int | None = None

    def overridden_by(self, override: "LimitOverride | None") -> "Limits":
        """Return these limits, but where the override says others."""
        if override is None:
            return self
        return replace(self, **{name: limit for name, limit in asdict(override.limits).items() if limit is not None})


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitOverride:
    """What is in place of a plan's limits, for one user and until `end_time`; `None` leaves the plan's."""

    limits: Limits
    end_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """An account as its owner sees it. `plan_limits` are those of the plan; the override may have ended."""

    id: str
    email: str
    name: str
    role: Role
    plan: str
    plan_limits: Limits
    create_time: datetime
    disabled: bool = False
    limit_override: LimitOverride | None = None

    def override_at(self, now: datetime) -> LimitOverride | None:
        """Return the override that has not ended."""
        override = self.limit_override
        return override if override is not None and now < override.end_time else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the users on it may use."""

    name: str
    limits: Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessChange:
    """What an administrator changes in an account; `None` keeps what is there, `ends_override` removes the override."""

    role: Role | None = None
    plan: str | None = None
    disabled: bool | None = None
    limit_override: LimitOverride | None = None
    ends_override: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """Something that happened to an account, or that an administrator did. No secrets, and nothing that a user wrote.

    Attributes:
        user_id: The account that it happened to; empty when there is none.
        actor_id: Who did it; empty for a stranger and for the operator's command. Likewise `api_key_id`, `session_id`.
        target: What was made, ended or changed beside the account.
        email_digest: SHA-256 of the comparable form of the address that was tried.
    """

    id: str
    create_time: datetime
    event: AuditKind
    outcome: AuditOutcome
    user_id: str
    actor_id: str
    api_key_id: str
    session_id: str
    target: str
    detail: str
    email_digest: bytes | None
    address: str
    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which audit events are asked for; what is empty or `None` is not asked about."""

    user_id: str = ""
    event: str = ""
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user with what a log-in is checked against."""

    user: User
    password_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailAddress:
    """An address as its owner writes it, and the form in which two spellings of one address are equal."""

    text: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAccount:
    """An account about to be created, on the default plan."""

    user_id: str
    email: EmailAddress
    name: str
    password_hash: str
    create_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountChange:
    """What is to change in an account; `None` keeps what is there."""

    name: str | None = None
    email: EmailAddress | None = None
    password_hash: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A sign-in, which lasts as long as its refresh token is renewed in time.

    Attributes:
        family_digest: SHA-256 of the part that all refresh tokens of the session share.
        token_digest: SHA-256 of the part that only the newest refresh token has.
        expire_time: When the newest refresh token ends.
    """

    id: str
    user_id: str
    family_digest: bytes
    token_digest: bytes
    create_time: datetime
    expire_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """An API key without its secret."""

    id: str
    user_id: str
    name: str
    redacted_secret: str
    create_time: datetime
    expire_time: datetime | None
    limits: Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whom a credential stands for, until `limits_end_time`; `key_limits` and `expire_time` are an API key's own."""

    user_id: str
    role: Role
    user_limits: Limits
    limits_end_time: datetime | None = None
    session_id: str = ""
    api_key_id: str = ""
    key_limits: Limits | None = None
    expire_time: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Which page of a list: `size` elements after the one named `after`, newest first unless `ascending`."""

    size: int = 20
    after: str = ""
    ascending: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageEvent:
    """One settled call of a model, as it stands in the ledger."""

    id: str
    user_id: str
    api_key_id: str
    model: str
    provider: str
    input_tokens: int
    cached_input_tokens: int
    output_tokens: int
    reasoning_tokens: int
    cost_micros: int
    estimated: bool
    outcome: UsageOutcome
    end_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageBucket:
    """The use of one model in one day (UTC)."""

    day: date
    model: str
    requests: int
    input_tokens: int
    cached_input_tokens: int
    output_tokens: int
    cost_micros: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """A note that a deleted user's data is to be erased everywhere.

    Attributes:
        mark_time: When the account was deleted.
        erase_time: When everything was first erased; `None` while that is still to be done.
    """

    user_id: str
    mark_time: datetime
    erase_time: datetime | None
