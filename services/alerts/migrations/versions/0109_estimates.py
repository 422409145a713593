"""What an evaluation estimated where a venue's mark stands still."""

from alembic import op

revision = "0109"
down_revision = "0108"


def upgrade() -> None:
    op.execute("alter table evaluation add column estimates bytea default '' not null")
