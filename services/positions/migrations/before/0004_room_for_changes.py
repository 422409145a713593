"""Room on every page for a second version of its positions:
changing all of them touches no index."""

from alembic import op

revision = "0004_room_for_changes"
down_revision = "0003_portfolio"


def upgrade() -> None:
    # Marks move in every cycle. With half of each page free the new versions stay on it (HOT) and
    # the old ones are pruned by the next read; else every change writes the indexes, and old ones
    # wait for vacuum.
    op.execute("alter table position set (fillfactor = 45)")
