"""Transactions are read from the first again: those of assets made later may have been left."""

from alembic import op

revision = "0103"
down_revision = "0102"


def upgrade() -> None:
    op.execute("delete from sync_cursor")
