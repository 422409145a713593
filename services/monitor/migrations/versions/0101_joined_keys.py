"""Who joins an incident is told under a key of its own; the end ends all of them."""

from alembic import op

revision = "0101"
down_revision = "0100"


def upgrade() -> None:
    op.execute("alter table incident add column joined_keys text[] not null default '{}'")
    op.execute("alter table outbox add column ended_incident_keys text[] not null default '{}'")
