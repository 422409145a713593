"""Danger and news, and how early each delivery goes."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column(
        "message", sa.Column("kind", sa.SmallInteger(), nullable=False, server_default=sa.text("1"))
    )
    op.create_check_constraint("message_kind", "message", "kind between 1 and 2")
    for table in ("message", "delivery"):
        op.add_column(table, sa.Column("urgency", sa.Double(), nullable=True))
    # What was accepted before is danger at an unknown distance.
    op.execute("update message set urgency = 1000 * (level + 3)")
    op.execute("update delivery set urgency = 1000 * (level + 3)")
    for table in ("message", "delivery"):
        op.alter_column(table, "urgency", nullable=False)
    op.drop_index("delivery_queue", "delivery")
    op.create_index(
        "delivery_queue",
        "delivery",
        ["channel", sa.literal_column("urgency DESC"), "due_time", "id"],
        unique=False,
        postgresql_where=sa.text("state = 1"),
    )
