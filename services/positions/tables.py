"""The tables of positions: inputs apart from results.

Hot tables are fixed width and NOT NULL; NaN is absent. Postgres orders NaN above infinity, so
`> 0 and <> 'infinity'` lets absent through and refuses the rest.
"""

from typing import Any

from sqlalchemy import (
    ARRAY,
    REAL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from services.positions.domain.venue_answer import NUMBERS
from services.positions.enrichment.domain.totals import MEANS, SUMS
from services.positions.sync.domain.leaps import COMPARED
from shared.database.fence import declare_fence

metadata = MetaData()

_POSITIVE = tuple(name for name in NUMBERS if "price" in name or name == "size_usd")


def _number(name: str) -> Column[float]:
    return Column(name, Float(53), nullable=False)


def _time(name: str, *, nullable: bool = False) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=nullable)


def _totals() -> list[Column[Any]]:
    zero = text("0")
    return [
        Column("position_count", BigInteger, nullable=False, server_default=zero),
        Column("stale_count", BigInteger, nullable=False, server_default=zero),
        *(Column(name, Float(53), nullable=False, server_default=zero) for name in SUMS),
        *(Column(name, Float(53)) for name in MEANS),
        Column("absent_count", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
        _time("oldest_mark_time", nullable=True),
        Column("stale", Boolean, nullable=False, server_default=text("false")),
    ]


wallet = Table(
    "wallet",
    metadata,
    Column("wallet_key", Integer, Identity(), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("chain", SmallInteger, nullable=False),
    Column("public_address", Text, nullable=False, server_default=""),
    Column("image_path", Text, nullable=False, server_default=""),
    Column("balance_native", Float(53)),
    Column("balance_usd", Float(53)),
    Column("tags", ARRAY(Text), nullable=False),
    Column("active", Boolean, nullable=False),
    Column("type", SmallInteger, nullable=False),
    _time("created_time"),
    _time("last_sync_time", nullable=True),
    Column("last_sync_state", SmallInteger, nullable=False, server_default=text("0")),
    Column("last_sync_reason", Text, nullable=False, server_default=""),
    Column("unwatched", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    CheckConstraint(
        "balance_native >= 0 and balance_native < 'infinity'", name="wallet_balance_native"
    ),
    CheckConstraint(
        "balance_usd > '-infinity' and balance_usd < 'infinity'", name="wallet_balance_usd"
    ),
)

asset = Table(
    "asset",
    metadata,
    Column("asset_key", Integer, Identity(), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
)

# One wallet as one venue answers for it; its time is the time of every position in the last answer,
# so that an answer without news writes no position.
feed = Table(
    "feed",
    metadata,
    Column("feed_key", Integer, Identity(), primary_key=True),
    Column("wallet_key", Integer, nullable=False),
    Column("venue", Text, nullable=False),
    _time("observed_time", nullable=True),
    Column("failed", Boolean, nullable=False, server_default=text("false")),
    # The pools of margin of the last answer that stated any; null before the first one.
    Column("accounts", JSONB),
    UniqueConstraint("wallet_key", "venue", name="feed_wallet_venue"),
)

position = Table(
    "position",
    metadata,
    Column("position_key", BigInteger, Identity(), primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("feed_key", Integer, nullable=False, index=True),
    Column("asset_key", Integer, nullable=False),
    Column("side", SmallInteger, nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("in_last_answer", Boolean, nullable=False),
    Column("flag_bits", BigInteger, nullable=False),
    *(_number(name) for name in NUMBERS),
    _time("mark_time"),
    _time("first_seen_time"),
    _time("last_seen_time"),
    _time("updated_time"),
    Column("note", Text, nullable=False, server_default=""),
    *(
        CheckConstraint(f"{name} > 0 and {name} <> 'infinity'", name=f"position_{name}")
        for name in _POSITIVE
    ),
    CheckConstraint(
        "collateral_usd > '-infinity' and collateral_usd <> 'infinity'",
        name="position_collateral_usd",
    ),
)

# A position that complete answers no longer hold: since which cycle, since when.
absence = Table(
    "absence",
    metadata,
    Column("position_key", BigInteger, primary_key=True, autoincrement=False),
    Column("cycle_id", Text, nullable=False),
    _time("missing_time"),
)

# What a venue asks of a position: margin to keep, carry by the hour. Moves often and drives no
# metric of a pass, so it stays out of the hot table.
venue_terms = Table(
    "venue_terms",
    metadata,
    Column(
        "position_key",
        BigInteger,
        ForeignKey("position.position_key", ondelete="CASCADE", name="venue_terms_position_key"),
        primary_key=True,
        autoincrement=False,
    ),
    _number("maintenance_ratio"),
    _number("hourly_carry_usd"),
    Column("carry_source", Text, nullable=False, server_default=""),
)

# A row whose figures leapt away from what was last good, until it is believed.
quarantined_row = Table(
    "quarantined_row",
    metadata,
    Column(
        "position_key",
        BigInteger,
        ForeignKey(
            "position.position_key", ondelete="CASCADE", name="quarantined_row_position_key"
        ),
        primary_key=True,
        autoincrement=False,
    ),
    Column("first_micros", BigInteger, nullable=False),
    Column("last_micros", BigInteger, nullable=False),
    Column("observed_count", Integer, nullable=False),
    *(_number(name) for name in COMPARED),
)

# What a trigger of table position notes of every statement that writes it: the keys, or null for
# more than 1,000. The next pass takes it away and reads those rows alone.
input_change = Table(
    "input_change",
    metadata,
    Column("change_id", BigInteger, Identity(), primary_key=True),
    Column("position_keys", ARRAY(BigInteger)),
)

# One row: the last pass, the market it saw (by which its results are made again from the inputs),
# its totals, the membership epoch, and how heat is weighed, which every pass reads with the rest
# of the row. `inputs_version`: random, another one after every pass whose inputs had changed.
service_state = Table(
    "service_state",
    metadata,
    Column("state_key", SmallInteger, primary_key=True, autoincrement=False),
    Column("membership_epoch", BigInteger, nullable=False),
    Column("pass_number", BigInteger, nullable=False),
    # The last event of positions; moves with each, so that readers see whether there are new ones.
    Column("event_sequence", BigInteger, nullable=False, server_default=text("0")),
    _time("enriched_time", nullable=True),
    Column("inputs_version", BigInteger, nullable=False, server_default=text("0")),
    Column("market", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    # Marks that stand still: venue, asset, mark, since when.
    Column("frozen_marks", JSONB, nullable=False, server_default=text("'[]'::jsonb")),
    *_totals(),
    Column("heat_model", SmallInteger, nullable=False, server_default=text("1")),
    Column("distance_weight", Float(53), nullable=False, server_default=text("0.6")),
    Column("leverage_weight", Float(53), nullable=False, server_default=text("0.3")),
    Column("collateral_weight", Float(53), nullable=False, server_default=text("0.1")),
    Column("heat_version", BigInteger, nullable=False, server_default=text("1")),
    CheckConstraint("state_key = 1", name="service_state_one_row"),
)

snapshot = Table(
    "snapshot",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    _time("snapshot_time"),
    Column("cycle_id", Text, nullable=False, server_default=""),
    _time("totals_time", nullable=True),
    *_totals(),
    Column("manual", Boolean, nullable=False, server_default=text("false")),
    Column("note", Text, nullable=False, server_default=""),
    Index("snapshot_newest", "snapshot_time", "id"),
    Index("snapshot_cycle", "cycle_id", unique=True, postgresql_where=text("cycle_id <> ''")),
)

# What happened to positions, numbered in the order of commits by service_state.event_sequence.
position_event = Table(
    "position_event",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    _time("event_time"),
    Column("kind", SmallInteger, nullable=False),
    Column("position_id", Text, nullable=False),
    Column("wallet", Text, nullable=False),
    Column("venue", Text, nullable=False),
    Column("asset", Text, nullable=False),
    Column("side", SmallInteger, nullable=False),
    Column("size_before_usd", Float(53)),
    Column("size_after_usd", Float(53)),
    Column("position_count", Integer, nullable=False),
    Column("cycle_id", Text, nullable=False),
    Index("position_event_time", "event_time"),
    Index("position_event_delisted", "position_id", postgresql_where=text("kind = 9")),
)

# What the touch probability said of an asset in one hour, a position an element; see
# touch_record/domain/statements.py.
touch_statement = Table(
    "touch_statement",
    metadata,
    Column("market", SmallInteger, primary_key=True, autoincrement=False),
    Column("asset", Text, primary_key=True),
    Column("hour", Integer, primary_key=True, autoincrement=False),
    _time("stated_time"),
    _time("until_time"),
    Column("model", SmallInteger, nullable=False),
    _number("sigma"),
    Column("side_signs", ARRAY(SmallInteger), nullable=False),
    Column("away", ARRAY(Float(53)), nullable=False),
    Column("liquidation_prices_usd", ARRAY(Float(53)), nullable=False),
    Column("probabilities", ARRAY(Float(53)), nullable=False),
    Column("state", SmallInteger, nullable=False, server_default=text("1")),
    Column("high_usd", Float(53), nullable=False, server_default=text("'NaN'")),
    Column("low_usd", Float(53), nullable=False, server_default=text("'NaN'")),
    Column("reason", Text, nullable=False, server_default=""),
    Index("touch_statement_time", "stated_time"),
    Index("touch_statement_waiting", "until_time", postgresql_where=text("state = 1")),
)

# What it said of every position, for people to look back at; see touch_record/domain/history.py.
touch_history = Table(
    "touch_history",
    metadata,
    Column("market", SmallInteger, primary_key=True, autoincrement=False),
    Column("asset", Text, primary_key=True),
    Column("hour", Integer, primary_key=True, autoincrement=False),
    _time("stated_time"),
    Column("model", SmallInteger, nullable=False),
    Column("position_keys", ARRAY(BigInteger), nullable=False),
    Column("probabilities", ARRAY(REAL), nullable=False),
    Index("touch_history_time", "stated_time"),
)

refused_row = Table(
    "refused_row",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    _time("refused_time"),
    Column("wallet", Text, nullable=False),
    Column("venue", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("field", Text, nullable=False),
    Column("masked_body", Text, nullable=False),
)

# The price at which each asset of the simulation was first seen.
demo_price = Table(
    "demo_price",
    metadata,
    Column("asset", Text, primary_key=True),
    _number("price_usd"),
    CheckConstraint("price_usd > 0 and price_usd < 'infinity'", name="demo_price_price_usd"),
)

# What CreatePosition answered to a request_id.
request = Table(
    "request",
    metadata,
    Column("request_id", Text, primary_key=True),
    Column("position_id", Text, nullable=False),
    _time("request_time"),
)

# A stretch of trading: at most one is open. The last three figures are final when it has ended.
session = Table(
    "session",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("status", SmallInteger, nullable=False),
    _time("started_time"),
    _time("ended_time", nullable=True),
    _number("start_value_usd"),
    Column("end_value_usd", Float(53)),
    Column("max_drawdown_usd", Float(53)),
    Column("max_drawdown_percent", Float(53)),
    Index("session_open", "status", unique=True, postgresql_where=text("status = 1")),
    Index("session_newest", "started_time", "id"),
)

# One row once entered.
strategy = Table(
    "strategy",
    metadata,
    Column("strategy_key", SmallInteger, primary_key=True, autoincrement=False),
    Column("start_value_usd", Float(53)),
    Column("description", Text, nullable=False),
    _time("updated_time"),
    CheckConstraint("strategy_key = 1", name="strategy_one_row"),
    CheckConstraint(
        "start_value_usd >= 0 and start_value_usd < 'infinity'", name="strategy_start_value_usd"
    ),
)

broker = Table(
    "broker",
    metadata,
    Column("name", Text, primary_key=True),
    Column("image_path", Text, nullable=False),
    Column("web_address", Text, nullable=False),
    Column("total_holding_usd", Float(53)),
    _time("created_time"),
    _time("updated_time"),
    CheckConstraint(
        "total_holding_usd >= 0 and total_holding_usd < 'infinity'", name="broker_holding_usd"
    ),
)

declare_fence(metadata)
