"""Old messages and request ids are found by their time."""

from alembic import op

revision = "0101"
down_revision = "0100"


def upgrade() -> None:
    for table in ("message", "request"):
        op.create_index(f"{table}_created", table, ["created_time"], postgresql_using="brin")
