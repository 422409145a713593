"""The start: wallets and feeds, positions and their results, totals and snapshots, and the fence of
steps.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None

_PRICES = (
    "entry_price_usd",
    "liquidation_price_usd",
    "own_liquidation_price_usd",
    "mark_price_usd",
)
_AMOUNTS = (
    "pnl_after_fees_usd",
    "venue_value_usd",
    "open_fee_usd",
    "close_fee_usd",
    "borrow_fee_usd",
)
_RESULTS = (
    *("mark_price_usd", "market_price_usd", "risk_liquidation_price_usd", "pnl_usd", "value_usd"),
    *(
        "leverage_ratio",
        "travel_percent",
        "liquidation_distance_usd",
        "liquidation_distance_percent",
    ),
    *("heat_index", "liquidation_probability"),
)
_SUMS = (
    *("total_size_usd", "total_value_usd", "total_collateral_usd", "total_long_size_usd"),
    *("total_short_size_usd", "total_pnl_usd", "total_profit_usd"),
)
_MEANS = (
    "avg_leverage_ratio",
    "avg_travel_percent",
    "avg_heat_index",
    "total_heat",
    "value_to_collateral_ratio",
)


def upgrade() -> None:
    _create_wallet()
    _create_asset_and_feed()
    _create_position()
    _create_results()
    _create_totals()
    _create_records()
    _create_demo_anchor()
    _create_fence()


def _time(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def _numbers(*names: str, nullable: bool = False) -> list[sa.Column[float]]:
    return [sa.Column(name, sa.Float(53), nullable=nullable) for name in names]


def _create_wallet() -> None:
    op.create_table(
        "wallet",
        sa.Column("wallet_key", sa.Integer, sa.Identity(), primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("chain", sa.SmallInteger, nullable=False),
        sa.Column("public_address", sa.Text, nullable=False, server_default=""),
        sa.Column("image_path", sa.Text, nullable=False, server_default=""),
        *_numbers("balance_native", "balance_usd", nullable=True),
        sa.Column("tags", sa.ARRAY(sa.Text), nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("type", sa.SmallInteger, nullable=False),
        _time("created_time"),
        _time("last_sync_time", nullable=True),
        sa.Column("last_sync_state", sa.SmallInteger, nullable=False, server_default=sa.text("0")),
        sa.Column("last_sync_reason", sa.Text, nullable=False, server_default=""),
        sa.CheckConstraint(
            "balance_native >= 0 and balance_native < 'infinity'", name="wallet_balance_native"
        ),
        sa.CheckConstraint(
            "balance_usd > '-infinity' and balance_usd < 'infinity'", name="wallet_balance_usd"
        ),
    )


def _create_asset_and_feed() -> None:
    op.create_table(
        "asset",
        sa.Column("asset_key", sa.Integer, sa.Identity(), primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
    )
    op.create_table(
        "feed",
        sa.Column("feed_key", sa.Integer, sa.Identity(), primary_key=True),
        sa.Column("wallet_key", sa.Integer, nullable=False),
        _text("venue"),
        _time("observed_time", nullable=True),
        sa.Column("failed", sa.Boolean, nullable=False, server_default=sa.text("false")),
        sa.UniqueConstraint("wallet_key", "venue", name="feed_wallet_venue"),
    )


def _create_position() -> None:
    positive = (*_PRICES, "size_usd")
    op.create_table(
        "position",
        sa.Column("position_key", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("feed_key", sa.Integer, nullable=False, index=True),
        sa.Column("asset_key", sa.Integer, nullable=False),
        sa.Column("side", sa.SmallInteger, nullable=False),
        sa.Column("status", sa.SmallInteger, nullable=False),
        sa.Column("in_last_answer", sa.Boolean, nullable=False),
        sa.Column("flag_bits", sa.BigInteger, nullable=False),
        *_numbers(*_PRICES, "size_usd", "collateral_usd", *_AMOUNTS),
        _time("mark_time"),
        _time("first_seen_time"),
        _time("last_seen_time"),
        _time("updated_time"),
        sa.Column("note", sa.Text, nullable=False, server_default=""),
        *(
            sa.CheckConstraint(f"{name} > 0 and {name} <> 'infinity'", name=f"position_{name}")
            for name in positive
        ),
        sa.CheckConstraint(
            "collateral_usd > '-infinity' and collateral_usd <> 'infinity'",
            name="position_collateral_usd",
        ),
    )
    op.create_table(
        "absence",
        sa.Column("position_key", sa.BigInteger, primary_key=True, autoincrement=False),
        _text("cycle_id"),
        _time("missing_time"),
    )


def _create_results() -> None:
    running_role = op.get_bind().exec_driver_sql("select current_schema()").scalar_one()
    for number in range(3):
        op.create_table(
            f"result_{number}",
            sa.Column("position_key", sa.BigInteger, nullable=False),
            sa.Column("flag_bits", sa.BigInteger, nullable=False),
            _time("mark_time"),
            *_numbers(*_RESULTS),
            prefixes=["UNLOGGED"],
        )
        # The table before last is emptied at once when it is large; rows alone take far longer.
        op.execute(f"grant truncate on result_{number} to {running_role}")


def _totals() -> list[sa.Column[object]]:
    zero = sa.text("0")
    return [
        sa.Column("position_count", sa.BigInteger, nullable=False, server_default=zero),
        sa.Column("stale_count", sa.BigInteger, nullable=False, server_default=zero),
        *(sa.Column(name, sa.Float(53), nullable=False, server_default=zero) for name in _SUMS),
        *_numbers(*_MEANS, nullable=True),
        sa.Column("absent_count", JSONB, nullable=False, server_default=sa.text("'{}'::jsonb")),
        _time("oldest_mark_time", nullable=True),
    ]


def _create_totals() -> None:
    op.create_table(
        "house",
        sa.Column("house_key", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("membership_epoch", sa.BigInteger, nullable=False),
        sa.Column("pass_number", sa.BigInteger, nullable=False),
        _time("enriched_time", nullable=True),
        *_totals(),
        sa.CheckConstraint("house_key = 1", name="house_one_row"),
    )
    op.execute("insert into house (house_key, membership_epoch, pass_number) values (1, 1, 0)")
    op.create_table(
        "snapshot",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        _time("snapshot_time"),
        sa.Column("cycle_id", sa.Text, nullable=False, server_default=""),
        _time("totals_time", nullable=True),
        *_totals(),
        sa.Index("snapshot_newest", "snapshot_time", "id"),
        sa.Index(
            "snapshot_cycle", "cycle_id", unique=True, postgresql_where=sa.text("cycle_id <> ''")
        ),
    )


def _create_records() -> None:
    op.create_table(
        "refused_row",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        _time("refused_time"),
        *map(_text, ("wallet", "venue", "reason", "field", "masked_body")),
    )
    op.create_table(
        "request",
        sa.Column("request_id", sa.Text, primary_key=True),
        _text("position_id"),
        _time("request_time"),
    )


def _create_demo_anchor() -> None:
    op.create_table(
        "demo_anchor",
        sa.Column("asset", sa.Text, primary_key=True),
        *_numbers("price_usd"),
        sa.CheckConstraint(
            "price_usd > 0 and price_usd < 'infinity'", name="demo_anchor_price_usd"
        ),
    )


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
        sa.Column("answer_time", sa.DateTime(timezone=True), nullable=False, index=True),
    )
