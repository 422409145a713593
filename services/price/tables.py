"""The tables of the price service; no schema name, the search path of the role finds them."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    Identity,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from shared.database.fence import declare_fence

metadata = MetaData()
declare_fence(metadata)


def _is_a_price(column: str) -> CheckConstraint:
    # Postgres takes NaN and infinity for greater than zero.
    return CheckConstraint(f"{column} > 0 and {column} < 'infinity'", name=f"{column}_is_a_price")


# One row. `revision` counts writes: it is the lock of a refresh and the cursor of a watcher.
# At `reset_revision` the list as a whole was replaced (cleared, or another market).
service_state = Table(
    "service_state",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("market", SmallInteger, nullable=False, server_default=text("0")),
    Column("revision", BigInteger, nullable=False, server_default=text("0")),
    Column("demo_start_time", DateTime(timezone=True)),
    Column("reset_revision", BigInteger, nullable=False, server_default=text("0")),
    CheckConstraint("id = 1", name="one_row"),
)

# The present price of each asset; what is absent is null, never zero.
price = Table(
    "price",
    metadata,
    Column("market", SmallInteger, primary_key=True, autoincrement=False),
    Column("asset", Text, primary_key=True),
    Column("quality", SmallInteger, nullable=False),
    Column("price_usd", Double),
    Column("price_time", DateTime(timezone=True)),
    Column("previous_price_usd", Double),
    Column("previous_price_time", DateTime(timezone=True)),
    Column("source", Text, nullable=False),
    Column("last_good_price_usd", Double),
    Column("last_good_time", DateTime(timezone=True)),
    Column("hourly_volatility_ratio", Double),
    Column("volatility_hour_time", DateTime(timezone=True)),
    Column("refresh_time", DateTime(timezone=True), nullable=False),
    Column("quotes", JSONB, nullable=False),
    Column("revision", BigInteger, nullable=False),
    _is_a_price("price_usd"),
    _is_a_price("previous_price_usd"),
    _is_a_price("last_good_price_usd"),
    _is_a_price("hourly_volatility_ratio"),
    CheckConstraint("previous_price_time < price_time", name="times_are_ordered"),
    CheckConstraint("(price_usd is null) = (price_time is null)", name="a_price_has_a_time"),
)

# Of one asset no two rows have the same time. A refresh only appends; a hand may correct what a row
# says, never whose row it is.
price_history = Table(
    "price_history",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("market", SmallInteger, nullable=False),
    Column("asset", Text, nullable=False),
    Column("price_usd", Double, nullable=False),
    Column("price_time", DateTime(timezone=True), nullable=False),
    Column("previous_price_usd", Double),
    Column("previous_price_time", DateTime(timezone=True)),
    Column("source", Text, nullable=False),
    Column("quality", SmallInteger, nullable=False),
    _is_a_price("price_usd"),
    _is_a_price("previous_price_usd"),
    CheckConstraint("previous_price_time < price_time", name="history_times_are_ordered"),
    CheckConstraint(
        "(previous_price_usd is null) = (previous_price_time is null)",
        name="a_previous_price_has_a_time",
    ),
    Index("price_history_by_time", "market", "asset", "price_time", unique=True),
)

# Hours that ended, one row an hour that was wholly looked at; they outlive the thinning of the
# history. `hour` counts from 1970; source is own (the history) or a provider's name.
hourly_candle = Table(
    "hourly_candle",
    metadata,
    Column("market", SmallInteger, primary_key=True, autoincrement=False),
    Column("asset", Text, primary_key=True),
    Column("hour", Integer, primary_key=True, autoincrement=False),
    Column("open_usd", Double, nullable=False),
    Column("high_usd", Double, nullable=False),
    Column("low_usd", Double, nullable=False),
    Column("close_usd", Double, nullable=False),
    Column("source", Text, nullable=False),
    _is_a_price("low_usd"),
    CheckConstraint(
        "low_usd <= least(open_usd, close_usd) and greatest(open_usd, close_usd) <= high_usd"
        " and high_usd < 'infinity'",
        name="a_candle_holds_its_prices",
    ),
)
