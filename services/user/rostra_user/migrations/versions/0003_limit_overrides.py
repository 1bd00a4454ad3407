"""Create the limits that are in place of a plan's, for one user and until a moment."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

MYSQL = ("mysql", "mariadb")
TABLE_OPTIONS = {
    f"{dialect}_{option}": value
    for dialect in MYSQL
    for option, value in (("engine", "InnoDB"), ("charset", "utf8mb4"), ("collate", "utf8mb4_bin"))
}


def upgrade() -> None:
    """Create the table. Older code does not look at it."""
    op.create_table(
        "limit_overrides",
        sa.Column("user_id", sa.String(64), primary_key=True),
        sa.Column("end_time", sa.DateTime().with_variant(mysql.DATETIME(fsp=6), *MYSQL), nullable=False),
        sa.Column("requests_per_minute", sa.BigInteger, nullable=True),
        sa.Column("tokens_per_minute", sa.BigInteger, nullable=True),
        sa.Column("concurrent_streams", sa.BigInteger, nullable=True),
        sa.Column("budget_micros_per_month", sa.BigInteger, nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_limit_overrides_user", ondelete="CASCADE"),
        **TABLE_OPTIONS,
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("limit_overrides")
