"""Cycles that streams ask for, and how the streams stand."""

import sqlalchemy as sa
from alembic import op

revision = "0104"
down_revision = "0103"


def upgrade() -> None:
    op.drop_constraint("cause_known", "cycle")
    op.create_check_constraint("cause_known", "cycle", "cause between 1 and 3")
    op.create_table(
        "stream",
        sa.Column("service", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("state", sa.SmallInteger, nullable=False),
        sa.Column("since_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.CheckConstraint("state between 1 and 3", name="stream_state_known"),
        sa.PrimaryKeyConstraint("service", "name"),
    )
