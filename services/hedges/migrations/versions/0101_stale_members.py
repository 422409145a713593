"""Whether a member of a hedge may be gone; not known until the next pass."""

from alembic import op

revision = "0101"
down_revision = "0100"


def upgrade() -> None:
    op.execute("alter table hedge add column stale boolean not null default true")
