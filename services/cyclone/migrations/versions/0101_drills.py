"""Drills: the watcher plays dead to the outside."""

import sqlalchemy as sa
from alembic import op

revision = "0101"
down_revision = "0100"


def upgrade() -> None:
    op.create_table(
        "drill",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("start_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("limit_seconds", sa.Double(), nullable=False),
        sa.Column("code_hash", sa.Text(), nullable=False),
        sa.Column("begun_time", sa.DateTime(timezone=True)),
        sa.Column("ended_time", sa.DateTime(timezone=True)),
        sa.CheckConstraint("state between 1 and 6", name="drill_state_known"),
    )
    op.create_index(
        "drill_open",
        "drill",
        [sa.text("(state <= 2)")],
        unique=True,
        postgresql_where=sa.text("state <= 2"),
    )
