"""Calls are written down before they are placed."""

import sqlalchemy as sa
from alembic import op

revision = "0102"
down_revision = "0101"


def upgrade() -> None:
    op.create_table(
        "call",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("delivery_id", sa.Text(), nullable=False),
        sa.Column("incident", sa.Text(), nullable=False),
        sa.Column("contact", sa.Text(), nullable=False),
        sa.Column("number_hash", sa.Text(), nullable=False),
        sa.Column("planned_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("receipt_id", sa.Text(), nullable=False, server_default=sa.text("''")),
        sa.Column("outcome", sa.Text(), nullable=False, server_default=sa.text("''")),
        sa.Column("key_time", sa.DateTime(timezone=True)),
        sa.CheckConstraint("state between 1 and 4", name="call_state"),
    )
    op.create_index("call_planned", "call", ["planned_time"])
