"""A dismissal is of one subject of a badge; what was dismissed without one is shown again."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Boolean, Column, DateTime, Float, Text
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_column("badge", "dismissed_level")
    op.add_column("badge", Column("parts", JSONB(), nullable=False, server_default="[]"))
    op.add_column("badge", Column("listed", Boolean(), nullable=False, server_default="false"))
    op.create_table(
        "dismissal",
        Column("badge", Text(), primary_key=True),
        Column("subject", Text(), primary_key=True),
        Column("level", Text(), nullable=False),
        Column("badness", Float(53)),
        Column("dismissed_time", DateTime(timezone=True), nullable=False),
    )
