"""When a monitor was snoozed by hand: one that a clock chose which was ahead does not stand."""

from alembic import op

revision = "0104"
down_revision = "0103"


def upgrade() -> None:
    op.execute("alter table setting add column snoozed_time timestamptz")
