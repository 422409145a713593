"""Who notified people of an incident is called what it is."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.alter_column("incident", "told", new_column_name="notified_by")
