"""A column and an index are called what they are."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.alter_column("incident", "told", new_column_name="notified")
    op.execute("alter index run_looked rename to run_not_skipped")
