"""The tables of the user service. The migrations create them; a test holds the two together."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    ForeignKeyConstraint,
    Index,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    false,
)

from rostra_user.sql.types import UtcDateTime, sha256_digest

metadata = MetaData()

# Text compares byte by byte on every database: what counts as equal is decided in code, never by a collation.
TABLE_OPTIONS: Mapping[str, Any] = {
    f"{dialect}_{option}": value
    for dialect in ("mysql", "mariadb")
    for option, value in (("engine", "InnoDB"), ("charset", "utf8mb4"), ("collate", "utf8mb4_bin"))
}

ID_LENGTH = 64
MODEL_LENGTH = 255
EVENT_ID_LENGTH = 128
PROVIDER_LENGTH = 64


def _limits() -> list[Column[int]]:
    names = ("requests_per_minute", "tokens_per_minute", "concurrent_streams", "budget_micros_per_month")
    return [Column(name, BigInteger, nullable=True) for name in names]


plans = Table("plans", metadata, Column("name", String(64), primary_key=True), *_limits(), **TABLE_OPTIONS)

users = Table(
    "users",
    metadata,
    Column("id", String(ID_LENGTH), primary_key=True),
    Column("email", String(320), nullable=False),
    Column("email_key", String(320), nullable=False),
    Column("name", String(200), nullable=False),
    Column("password_hash", String(255), nullable=False),
    Column("role", String(16), nullable=False),
    Column("plan", String(64), nullable=False),
    Column("create_time", UtcDateTime, nullable=False),
    Column("disabled", Boolean, nullable=False, server_default=false()),
    UniqueConstraint("email_key", name="uq_users_email_key"),
    ForeignKeyConstraint(["plan"], ["plans.name"], name="fk_users_plan"),
    Index("ix_users_plan", "plan"),
    **TABLE_OPTIONS,
)

# What is in place of a plan's limits, one row per user; it may have ended.
limit_overrides = Table(
    "limit_overrides",
    metadata,
    Column("user_id", String(ID_LENGTH), primary_key=True),
    Column("end_time", UtcDateTime, nullable=False),
    *_limits(),
    ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_limit_overrides_user", ondelete="CASCADE"),
    **TABLE_OPTIONS,
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", String(ID_LENGTH), primary_key=True),
    Column("user_id", String(ID_LENGTH), nullable=False),
    Column("family_digest", sha256_digest(), nullable=False),
    Column("token_digest", sha256_digest(), nullable=False),
    Column("create_time", UtcDateTime, nullable=False),
    Column("expire_time", UtcDateTime, nullable=False),
    ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_sessions_user", ondelete="CASCADE"),
    Index("ix_sessions_user_id", "user_id"),
    **TABLE_OPTIONS,
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(ID_LENGTH), primary_key=True),
    Column("user_id", String(ID_LENGTH), nullable=False),
    Column("name", String(200), nullable=False),
    Column("secret_digest", sha256_digest(), nullable=False),
    Column("redacted_secret", String(64), nullable=False),
    Column("create_time", UtcDateTime, nullable=False),
    Column("expire_time", UtcDateTime, nullable=True),
    *_limits(),
    ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_api_keys_user", ondelete="CASCADE"),
    UniqueConstraint("secret_digest", name="uq_api_keys_secret_digest"),
    # Both columns are NOT NULL: MySQL 9 lets orphans in where a foreign key's index ends in a NULL.
    Index("ix_api_keys_user_id_id", "user_id", "id"),
    **TABLE_OPTIONS,
)

# No foreign key: each insert would lock the user's row. Events of deleted users are left out when they are written
# and removed by the erasure's last pass.
usage_events = Table(
    "usage_events",
    metadata,
    Column("id", String(EVENT_ID_LENGTH), primary_key=True),
    Column("user_id", String(ID_LENGTH), nullable=False),
    Column("api_key_id", String(ID_LENGTH), nullable=False),
    Column("model", String(MODEL_LENGTH), nullable=False),
    Column("provider", String(PROVIDER_LENGTH), nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("cached_input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("reasoning_tokens", BigInteger, nullable=False),
    Column("cost_micros", BigInteger, nullable=False),
    Column("estimated", Boolean, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("end_time", UtcDateTime, nullable=False),
    Column("day", Date, nullable=False),
    Index("ix_usage_events_user_id_end_time", "user_id", "end_time"),
    Index("ix_usage_events_end_time", "end_time"),
    **TABLE_OPTIONS,
)

erasures = Table(
    "erasures",
    metadata,
    Column("user_id", String(ID_LENGTH), primary_key=True),
    Column("mark_time", UtcDateTime, nullable=False),
    Column("erase_time", UtcDateTime, nullable=True),
    Index("ix_erasures_mark_time", "mark_time"),
    **TABLE_OPTIONS,
)

# No foreign key: what happened to an account is told after it is gone.
audit_events = Table(
    "audit_events",
    metadata,
    Column("id", String(ID_LENGTH), primary_key=True),
    Column("create_time", UtcDateTime, nullable=False),
    Column("event", String(32), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("user_id", String(ID_LENGTH), nullable=False),
    Column("actor_id", String(ID_LENGTH), nullable=False),
    Column("api_key_id", String(ID_LENGTH), nullable=False),
    Column("session_id", String(ID_LENGTH), nullable=False),
    Column("target", String(128), nullable=False),
    Column("detail", String(1024), nullable=False),
    Column("email_digest", sha256_digest(), nullable=True),
    Column("address", String(64), nullable=False),
    Column("request_id", String(128), nullable=False),
    Index("ix_audit_events_create_time", "create_time"),
    Index("ix_audit_events_user_id_id", "user_id", "id"),
    Index("ix_audit_events_actor_id", "actor_id"),
    Index("ix_audit_events_event_id", "event", "id"),
    **TABLE_OPTIONS,
)
