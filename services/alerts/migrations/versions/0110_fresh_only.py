"""Until when, after a restore, what it left untold waits for a fresh reading."""

from alembic import op

revision = "0110"
down_revision = "0109"


def upgrade() -> None:
    op.execute(
        "alter table service_state add column fresh_only_until_micros bigint default 0 not null"
    )
