"""Finds what was told of positions that their venue lists no more."""

from alembic import op

revision = "0108"
down_revision = "0107"


def upgrade() -> None:
    op.execute(
        "create index position_event_delisted on position_event (position_id) where kind = 9"
    )
