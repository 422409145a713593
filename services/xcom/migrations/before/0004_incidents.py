"""Incidents: what is said of one is acknowledged, put off and ended together."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column(
        "message",
        sa.Column("incident_key", sa.Text(), nullable=False, server_default=sa.text("''")),
    )
    op.add_column(
        "message",
        sa.Column("ends_incident", sa.Boolean(), nullable=False, server_default=sa.text("false")),
    )
    op.create_index(
        "message_incident",
        "message",
        ["incident_key"],
        postgresql_where=sa.text("incident_key <> ''"),
    )
    op.create_table(
        "incident",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("ended_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("quiet_level", sa.SmallInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("quiet_until_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_time", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("quiet_level between 0 and 4", name="incident_quiet_level"),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_index("incident_updated", "incident", ["updated_time"])
    op.create_table(
        "acknowledgement",
        sa.Column("sequence", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("incident_key", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("said_by", sa.Text(), nullable=False),
        sa.Column("snoozed_until_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_time", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("level between 1 and 4", name="acknowledgement_level"),
        sa.PrimaryKeyConstraint("sequence"),
    )
    op.drop_constraint("delivery_state", "delivery", type_="check")
    op.create_check_constraint("delivery_state", "delivery", "state between 1 and 5")
