"""Create the audit log, let accounts be disabled, and find usage by time over all users."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

MYSQL = ("mysql", "mariadb")
TABLE_OPTIONS = {
    f"{dialect}_{option}": value
    for dialect in MYSQL
    for option, value in (("engine", "InnoDB"), ("charset", "utf8mb4"), ("collate", "utf8mb4_bin"))
}


def upgrade() -> None:
    """Create the table, the column and the index. Older code can ignore all three."""
    op.create_table(
        "audit_events",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("create_time", sa.DateTime().with_variant(mysql.DATETIME(fsp=6), *MYSQL), nullable=False),
        sa.Column("event", sa.String(32), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("actor_id", sa.String(64), nullable=False),
        sa.Column("api_key_id", sa.String(64), nullable=False),
        sa.Column("session_id", sa.String(64), nullable=False),
        sa.Column("target", sa.String(128), nullable=False),
        sa.Column("detail", sa.String(1024), nullable=False),
        sa.Column("email_digest", sa.LargeBinary(32).with_variant(mysql.BINARY(32), *MYSQL), nullable=True),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("request_id", sa.String(128), nullable=False),
        sa.Index("ix_audit_events_create_time", "create_time"),
        sa.Index("ix_audit_events_user_id_id", "user_id", "id"),
        sa.Index("ix_audit_events_actor_id", "actor_id"),
        sa.Index("ix_audit_events_event_id", "event", "id"),
        **TABLE_OPTIONS,
    )
    op.add_column("users", sa.Column("disabled", sa.Boolean, nullable=False, server_default=sa.false()))
    op.create_index("ix_usage_events_end_time", "usage_events", ["end_time"])


def downgrade() -> None:
    """Drop them."""
    op.drop_index("ix_usage_events_end_time", "usage_events")
    op.drop_column("users", "disabled")
    op.drop_table("audit_events")
