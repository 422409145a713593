"""Acknowledged and silenced alerts, texts of people, market rules."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    _hold_alerts()
    op.create_table(
        "wording",
        sa.Column("alert_id", sa.Text(), nullable=False),
        sa.Column("notes", sa.Text(), nullable=False),
        sa.Column("channels", sa.ARRAY(sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("alert_id"),
    )
    _create_rules()
    op.add_column(
        "docket", sa.Column("next_rule_key", sa.BigInteger(), server_default="1", nullable=False)
    )
    op.create_index(
        "ledger_by_time", "ledger", ["entry_time"], unique=False, postgresql_using="brin"
    )


def _hold_alerts() -> None:
    for name, kind, default in (
        ("held_status", sa.SmallInteger(), "0"),
        ("held_level", sa.SmallInteger(), "0"),
        ("held_until_micros", sa.BigInteger(), "0"),
        ("trait_bits", sa.SmallInteger(), "0"),
        ("revision", sa.Integer(), "1"),
    ):
        op.add_column("alert", sa.Column(name, kind, server_default=default, nullable=False))
    op.create_index(
        "alert_held",
        "alert",
        ["held_until_micros"],
        unique=False,
        postgresql_where=sa.text("held_status <> 0"),
    )


def _create_rules() -> None:
    op.create_table(
        "rule",
        sa.Column("rule_key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("asset", sa.Text(), nullable=False),
        sa.Column("metric", sa.SmallInteger(), nullable=False),
        sa.Column("direction", sa.SmallInteger(), nullable=False),
        sa.Column("threshold", sa.Double(), nullable=False),
        sa.Column("recurrence", sa.SmallInteger(), nullable=False),
        sa.Column("window_seconds", sa.Integer(), nullable=False),
        sa.Column("cooldown_seconds", sa.Integer(), nullable=False),
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("channels", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("notes", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_micros", sa.BigInteger(), nullable=False),
        sa.Column("armed", sa.Boolean(), nullable=False),
        sa.Column("anchor_price_usd", sa.Double(), nullable=True),
        sa.Column("anchor_micros", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("ratio", sa.Double(), nullable=True),
        sa.Column("price_usd", sa.Double(), nullable=True),
        sa.Column("price_micros", sa.BigInteger(), nullable=False),
        sa.Column("told_level", sa.SmallInteger(), nullable=False),
        sa.Column("told_micros", sa.BigInteger(), nullable=False),
        sa.Column("incident_count", sa.Integer(), nullable=False),
        sa.Column("breach_count", sa.Integer(), nullable=False),
        sa.CheckConstraint("threshold > 0 and threshold < 'infinity'", name="threshold_positive"),
        sa.PrimaryKeyConstraint("rule_key"),
    )
    op.create_table(
        "rule_sample",
        sa.Column("asset", sa.Text(), nullable=False),
        sa.Column("observed_micros", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("price_usd", sa.Double(), nullable=False),
        sa.CheckConstraint("price_usd > 0 and price_usd < 'infinity'", name="price_positive"),
        sa.PrimaryKeyConstraint("asset", "observed_micros"),
    )
