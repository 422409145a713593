"""settings, dismissed badges, the heartbeat, claims"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    texts = postgresql.ARRAY(sa.Text())
    op.create_table(
        "setting",
        sa.Column("monitor", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=True),
        sa.Column("interval_seconds", sa.Float(precision=53), nullable=True),
        sa.Column("threshold_percent", sa.Float(precision=53), nullable=True),
        sa.Column("notification_level", sa.Text(), nullable=True),
        sa.Column("channels", texts, nullable=False),
        sa.Column("snooze_seconds", sa.Float(precision=53), nullable=True),
        sa.Column("snoozed_until_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "interval_seconds > 0 and interval_seconds < 'infinity'", name="setting_interval"
        ),
        sa.CheckConstraint(
            "threshold_percent >= 0 and threshold_percent < 'infinity'", name="setting_threshold"
        ),
        sa.CheckConstraint(
            "snooze_seconds >= 0 and snooze_seconds < 'infinity'", name="setting_snooze"
        ),
        sa.PrimaryKeyConstraint("monitor"),
    )
    op.create_table(
        "beat",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("call_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cycle_interval_seconds", sa.Float(precision=53), nullable=True),
        sa.CheckConstraint("id = 1", name="beat_one"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "claim",
        sa.Column("monitor", sa.Text(), nullable=False),
        sa.Column("until_time", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("monitor"),
    )
    op.add_column("badge", sa.Column("dismissed_level", sa.Text(), nullable=True))
    op.add_column("outbox", sa.Column("channels", texts, server_default="{}", nullable=False))
    op.create_index(
        "run_looked",
        "run",
        ["monitor", "id"],
        unique=False,
        postgresql_where=sa.text("status <> 3"),
    )
    op.create_index(
        "run_cycle", "run", ["cycle_id"], unique=False, postgresql_where=sa.text("cycle_id <> ''")
    )
