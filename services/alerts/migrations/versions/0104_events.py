"""How far events of positions were told."""

from alembic import op

revision = "0104"
down_revision = "0103"


def upgrade() -> None:
    op.execute("alter table service_state add column event_sequence bigint default 0 not null")
