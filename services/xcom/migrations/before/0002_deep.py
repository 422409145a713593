"""Settings, contacts, links, digests and resends."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    _messages()
    _deliveries()
    op.create_index("attempt_recent", "attempt", ["attempt_time"])
    op.create_table(
        "setting",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("updated_time", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "link",
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("created_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_time", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["message_id"], ["message.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("token_hash"),
    )
    op.create_index("link_message", "link", ["message_id"])


def _messages() -> None:
    for column in (
        sa.Column("acknowledged_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_by", sa.Text(), nullable=False, server_default=sa.text("''")),
        sa.Column("snoozed_until_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("escalation_step", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("escalation_due_time", sa.DateTime(timezone=True), nullable=True),
    ):
        op.add_column("message", column)
    op.create_check_constraint("message_escalation_step", "message", "escalation_step >= 0")
    op.create_index(
        "message_escalation",
        "message",
        ["escalation_due_time"],
        postgresql_where=sa.text("escalation_due_time is not null"),
    )


def _deliveries() -> None:
    for column in (
        sa.Column("reason", sa.SmallInteger(), nullable=False, server_default=sa.text("1")),
        sa.Column("contact", sa.Text(), nullable=False, server_default=sa.text("''")),
        sa.Column("address", sa.Text(), nullable=False, server_default=sa.text("''")),
        sa.Column("digest_id", sa.Text(), nullable=False, server_default=sa.text("''")),
        sa.Column("spent_tries", sa.Integer(), nullable=False, server_default=sa.text("0")),
    ):
        op.add_column("delivery", column)
    op.drop_constraint("delivery_once", "delivery")
    op.create_unique_constraint("delivery_once", "delivery", ["message_id", "channel", "address"])
    op.drop_constraint("delivery_state", "delivery")
    op.create_check_constraint("delivery_state", "delivery", "state between 1 and 4")
    op.create_check_constraint("delivery_reason", "delivery", "reason between 1 and 4")
    op.create_check_constraint(
        "delivery_spent_tries", "delivery", "spent_tries between 0 and tries"
    )
    op.create_index(
        "delivery_digest", "delivery", ["digest_id"], postgresql_where=sa.text("digest_id <> ''")
    )
    op.create_index(
        "delivery_sent_last",
        "delivery",
        ["channel", "address", "sent_time"],
        postgresql_where=sa.text("state = 2"),
    )
