"""What venues state of the accounts behind positions."""

from alembic import op

revision = "0103"
down_revision = "0102"


def upgrade() -> None:
    op.execute("alter table feed add column accounts jsonb")
