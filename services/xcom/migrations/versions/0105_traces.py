"""Deliveries belong to the trace of what handed their message over."""

import sqlalchemy as sa
from alembic import op

revision = "0105"
down_revision = "0104"


def upgrade() -> None:
    op.add_column("message", sa.Column("trace", sa.Text, nullable=False, server_default=""))
