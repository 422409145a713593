"""Alerts remember a rise that a cooldown or a hold kept back, to be told when that is over."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column(
        "alert", sa.Column("kept_level", sa.SmallInteger(), server_default="0", nullable=False)
    )
