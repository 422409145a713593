"""The start: one state row, present prices, their history, and the fence of cycle steps."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None


def upgrade() -> None:
    _create_state()
    _create_price()
    _create_history()
    _create_fence()


def _create_state() -> None:
    op.create_table(
        "service_state",
        sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("market", sa.SmallInteger, nullable=False, server_default=sa.text("0")),
        sa.Column("revision", sa.BigInteger, nullable=False, server_default=sa.text("0")),
        sa.Column("demo_start_time", sa.DateTime(timezone=True)),
        sa.Column("reset_revision", sa.BigInteger, nullable=False, server_default=sa.text("0")),
        sa.CheckConstraint("id = 1", name="one_row"),
    )
    op.execute("insert into service_state (id) values (1)")


def _create_price() -> None:
    op.create_table(
        "price",
        sa.Column("market", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("asset", sa.Text, primary_key=True),
        sa.Column("quality", sa.SmallInteger, nullable=False),
        sa.Column("price_usd", sa.Double),
        sa.Column("price_time", sa.DateTime(timezone=True)),
        sa.Column("previous_price_usd", sa.Double),
        sa.Column("previous_price_time", sa.DateTime(timezone=True)),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("last_good_price_usd", sa.Double),
        sa.Column("last_good_time", sa.DateTime(timezone=True)),
        sa.Column("hourly_volatility_ratio", sa.Double),
        sa.Column("volatility_hour_time", sa.DateTime(timezone=True)),
        sa.Column("refresh_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("quotes", JSONB, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        _is_a_price("price_usd"),
        _is_a_price("previous_price_usd"),
        _is_a_price("last_good_price_usd"),
        _is_a_price("hourly_volatility_ratio"),
        sa.CheckConstraint("previous_price_time < price_time", name="times_are_ordered"),
        sa.CheckConstraint("(price_usd is null) = (price_time is null)", name="a_price_has_a_time"),
    )


def _create_history() -> None:
    op.create_table(
        "price_history",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("market", sa.SmallInteger, nullable=False),
        sa.Column("asset", sa.Text, nullable=False),
        sa.Column("price_usd", sa.Double, nullable=False),
        sa.Column("price_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("previous_price_usd", sa.Double),
        sa.Column("previous_price_time", sa.DateTime(timezone=True)),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("quality", sa.SmallInteger, nullable=False),
        _is_a_price("price_usd"),
        _is_a_price("previous_price_usd"),
        sa.CheckConstraint("previous_price_time < price_time", name="history_times_are_ordered"),
        sa.CheckConstraint(
            "(previous_price_usd is null) = (previous_price_time is null)",
            name="a_previous_price_has_a_time",
        ),
    )
    op.create_index(
        "price_history_by_time", "price_history", ["market", "asset", "price_time", "id"]
    )
    op.execute("revoke update on price_history from price")


def _create_fence() -> None:
    op.create_table(
        "caller_epoch",
        sa.Column("caller", sa.Text, primary_key=True),
        sa.Column("epoch", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "step_answer",
        sa.Column("cycle_id", sa.Text, primary_key=True),
        sa.Column("step", sa.Text, primary_key=True),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("answer", sa.LargeBinary, nullable=False),
        sa.Column("answer_time", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_step_answer_answer_time", "step_answer", ["answer_time"])


def _is_a_price(column: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(
        f"{column} > 0 and {column} < 'infinity'", name=f"{column}_is_a_price"
    )
