"""Of a wallet's transactions it is known of which assets they were left, their market missing."""

from alembic import op

revision = "0104"
down_revision = "0103"


def upgrade() -> None:
    op.execute("alter table sync_cursor add column passed_over text[] not null default '{}'")
