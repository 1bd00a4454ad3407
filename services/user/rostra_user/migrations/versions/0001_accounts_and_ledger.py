"""Create accounts, sessions, API keys, plans, the usage ledger and erasures."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

MYSQL = ("mysql", "mariadb")
TABLE_OPTIONS = {
    f"{dialect}_{option}": value
    for dialect in MYSQL
    for option, value in (("engine", "InnoDB"), ("charset", "utf8mb4"), ("collate", "utf8mb4_bin"))
}
LIMITS = ("requests_per_minute", "tokens_per_minute", "concurrent_streams", "budget_micros_per_month")


def upgrade() -> None:
    """Create the tables and the default plan."""
    plans = op.create_table("plans", sa.Column("name", sa.String(64), primary_key=True), *limits(), **TABLE_OPTIONS)
    op.create_table(
        "users",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("email", sa.String(320), nullable=False),
        sa.Column("email_key", sa.String(320), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("password_hash", sa.String(255), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("plan", sa.String(64), nullable=False),
        sa.Column("create_time", moment(), nullable=False),
        sa.UniqueConstraint("email_key", name="uq_users_email_key"),
        sa.ForeignKeyConstraint(["plan"], ["plans.name"], name="fk_users_plan"),
        sa.Index("ix_users_plan", "plan"),
        **TABLE_OPTIONS,
    )
    op.create_table(
        "sessions",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("family_digest", digest(), nullable=False),
        sa.Column("token_digest", digest(), nullable=False),
        sa.Column("create_time", moment(), nullable=False),
        sa.Column("expire_time", moment(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_sessions_user", ondelete="CASCADE"),
        sa.Index("ix_sessions_user_id", "user_id"),
        **TABLE_OPTIONS,
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("secret_digest", digest(), nullable=False),
        sa.Column("redacted_secret", sa.String(64), nullable=False),
        sa.Column("create_time", moment(), nullable=False),
        sa.Column("expire_time", moment(), nullable=True),
        *limits(),
        sa.UniqueConstraint("secret_digest", name="uq_api_keys_secret_digest"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_api_keys_user", ondelete="CASCADE"),
        sa.Index("ix_api_keys_user_id_id", "user_id", "id"),
        **TABLE_OPTIONS,
    )
    op.create_table(
        "usage_events",
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("api_key_id", sa.String(64), nullable=False),
        sa.Column("model", sa.String(255), nullable=False),
        sa.Column("provider", sa.String(64), nullable=False),
        sa.Column("input_tokens", sa.BigInteger, nullable=False),
        sa.Column("cached_input_tokens", sa.BigInteger, nullable=False),
        sa.Column("output_tokens", sa.BigInteger, nullable=False),
        sa.Column("reasoning_tokens", sa.BigInteger, nullable=False),
        sa.Column("cost_micros", sa.BigInteger, nullable=False),
        sa.Column("estimated", sa.Boolean, nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("end_time", moment(), nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Index("ix_usage_events_user_id_end_time", "user_id", "end_time"),
        **TABLE_OPTIONS,
    )
    op.create_table(
        "erasures",
        sa.Column("user_id", sa.String(64), primary_key=True),
        sa.Column("mark_time", moment(), nullable=False),
        sa.Column("erase_time", moment(), nullable=True),
        sa.Index("ix_erasures_mark_time", "mark_time"),
        **TABLE_OPTIONS,
    )
    op.bulk_insert(
        plans,
        [
            {
                "name": "default",
                "requests_per_minute": 600,
                "tokens_per_minute": 500_000,
                "concurrent_streams": 50,
                "budget_micros_per_month": None,
            }
        ],
    )


def downgrade() -> None:
    """Drop the tables, those that refer to others first."""
    for table in ("erasures", "usage_events", "api_keys", "sessions", "users", "plans"):
        op.drop_table(table)


def limits() -> list[sa.Column]:
    """Return the columns that bound what somebody may use."""
    return [sa.Column(name, sa.BigInteger, nullable=True) for name in LIMITS]


def moment() -> sa.DateTime:
    """Return the type of a moment with microseconds."""
    return sa.DateTime().with_variant(mysql.DATETIME(fsp=6), *MYSQL)


def digest() -> sa.LargeBinary:
    """Return the type of a SHA-256 digest."""
    return sa.LargeBinary(32).with_variant(mysql.BINARY(32), *MYSQL)
