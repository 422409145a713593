"""Restores, and what they held back."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0105"
down_revision = "0104"


def upgrade() -> None:
    op.create_table(
        "restore",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("taken_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("restored_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("held", JSONB, nullable=False, server_default=sa.text("'[]'")),
        sa.Column("held_change_count", sa.BigInteger, nullable=False, server_default=sa.text("0")),
        sa.Column("told_time", sa.DateTime(timezone=True)),
    )
