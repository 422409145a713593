"""What people answered, who reads it, and what a channel shows a delivery as."""

import sqlalchemy as sa
from alembic import op

revision = "0103"
down_revision = "0102"


def upgrade() -> None:
    posted_id = sa.Column("posted_id", sa.Text(), nullable=False, server_default=sa.text("''"))
    op.add_column("delivery", posted_id)
    op.add_column(
        "delivery",
        sa.Column("shown_standing", sa.SmallInteger(), nullable=False, server_default=sa.text("0")),
    )
    op.create_index(
        "delivery_posted",
        "delivery",
        ["posted_id"],
        postgresql_where=sa.text("posted_id <> ''"),
    )
    op.create_table(
        "reply",
        sa.Column("channel", sa.Text(), primary_key=True),
        sa.Column("provider_id", sa.Text(), primary_key=True),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("created_time", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("reply_created", "reply", ["created_time"])
    op.create_table(
        "reader",
        sa.Column("channel", sa.Text(), primary_key=True),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("expires_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("position", sa.Text(), nullable=False),
    )
