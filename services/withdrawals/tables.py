"""The tables of withdrawals: assets, wallets, tokens; flows, samples, references; decisions."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
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
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from shared.database.fence import declare_fence

metadata = MetaData()
declare_fence(metadata)

_Moment = DateTime(timezone=True)

# What a person sets of an asset is one document: it is read and written whole.
asset = Table(
    "asset",
    metadata,
    Column("name", Text, primary_key=True),
    Column("settings", JSONB, nullable=False),
    Column("revision", BigInteger, nullable=False),
)

wallet = Table(
    "wallet",
    metadata,
    Column("name", Text, primary_key=True),
    Column("addresses", ARRAY(Text), nullable=False),
)

token = Table(
    "token",
    metadata,
    Column("asset", Text, primary_key=True),
    Column("policy_id", Text, nullable=False),
    Column("token_name_hex", Text, nullable=False),
)

# One wallet in one market: what flows and samples are of.
holding = Table(
    "holding",
    metadata,
    Column("key", Integer, Identity(always=True), primary_key=True),
    Column("asset", Text, nullable=False),
    Column("wallet", Text, nullable=False),
    Column("market", Text, nullable=False),
    UniqueConstraint("asset", "wallet", "market", name="holding_asset_wallet_market"),
)

# Units are whole millionths of a token, which is what the tokens are counted in; the least int8 and
# NaN are what is not known, as columns have it.
sample = Table(
    "sample",
    metadata,
    Column("holding_key", Integer, ForeignKey("holding.key"), primary_key=True),
    Column("sample_time", _Moment, primary_key=True),
    Column("units", BigInteger, nullable=False),
    Column("price_usd", Float(53), nullable=False),
    Column("receipt_units", BigInteger, nullable=False),
    Column("exchange_rate", Float(53), nullable=False),
    Column("ada_usd", Float(53), nullable=False),
    Column("source", SmallInteger, nullable=False),
    CheckConstraint("units >= 0", name="sample_units"),
    CheckConstraint("source between 1 and 5", name="sample_source"),
)

flow = Table(
    "flow",
    metadata,
    Column("key", BigInteger, Identity(always=True), primary_key=True),
    Column("holding_key", Integer, ForeignKey("holding.key"), nullable=False),
    Column("kind", SmallInteger, nullable=False),
    Column("tx_id", Text, nullable=False),
    Column("units", Numeric, nullable=False),
    Column("flow_time", _Moment, nullable=False),
    Column("note", Text, nullable=False),
    Column("source", SmallInteger, nullable=False),
    Column("receipt_units", Numeric),
    Column("exchange_rate", Float(53)),
    Column("created_time", _Moment, nullable=False),
    UniqueConstraint("holding_key", "tx_id", "kind", name="flow_identity"),
    CheckConstraint("kind in (1, 2)", name="flow_kind"),
    CheckConstraint("units > 0 and units < 'infinity'", name="flow_units"),
    CheckConstraint("source between 1 and 5", name="flow_source"),
    Index("flow_newest", "flow_time", "key"),
)

reference = Table(
    "reference",
    metadata,
    Column("key", BigInteger, Identity(always=True), primary_key=True),
    Column("asset", Text, nullable=False),
    # Empty: every wallet.
    Column("wallet", Text, nullable=False),
    Column("reference_time", _Moment, nullable=False),
    Column("tx_id", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("created_time", _Moment, nullable=False),
    Index("reference_newest", "reference_time", "key"),
)

# The span of the venue's transactions that was read of a wallet without a failure.
sync_cursor = Table(
    "sync_cursor",
    metadata,
    Column("wallet", Text, primary_key=True),
    Column("since_time", _Moment, nullable=False),
    Column("until_time", _Moment, nullable=False),
    # Whether any transaction was told; null: of older spans nobody knows.
    Column("is_seen", Boolean),
    # Assets whose market was not listed when it was read: what they have there was left.
    Column("passed_over", ARRAY(Text), nullable=False, server_default=text("'{}'")),
)

# What an import answered, so that the same request answers so again.
request = Table(
    "request",
    metadata,
    Column("request_id", Text, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("answer", JSONB, nullable=False),
    Column("request_time", _Moment, nullable=False, index=True),
)

decision = Table(
    "decision",
    metadata,
    Column("key", BigInteger, Identity(always=True), primary_key=True),
    Column("asset", Text, nullable=False),
    Column("value", SmallInteger, nullable=False),
    # When it was concluded first, and last: the same again is the same row.
    Column("since_time", _Moment, nullable=False),
    Column("evaluated_time", _Moment, nullable=False, index=True),
    Column("demo", Boolean, nullable=False),
    # All of it, with what it rests on now.
    Column("body", JSONB, nullable=False),
    # Rises with every row written, also with one written again.
    Column("revision", BigInteger, nullable=False, index=True),
    CheckConstraint("value between -1 and 1", name="decision_value"),
    Index("decision_of_asset", "asset", "key"),
)

# What an evaluation hands to the next one of the asset.
asset_state = Table(
    "asset_state",
    metadata,
    Column("asset", Text, primary_key=True),
    # Price comparisons in a row that did not fit.
    Column("mismatch_count", Integer, nullable=False),
    # Rises with every flow, sample and reference that somebody gives; and what it was when the
    # asset was last judged.
    Column("input_version", BigInteger, nullable=False, server_default="1"),
    Column("judged_version", BigInteger, nullable=False, server_default="0"),
    # Before it nothing new is to come by itself; null: who knows without asking.
    Column("due_time", _Moment),
)

# Changes of advice that alerts has not taken yet.
outbox = Table(
    "outbox",
    metadata,
    Column("decision_key", BigInteger, primary_key=True, autoincrement=False),
    Column("previous_value", SmallInteger),
    Column("due_time", _Moment, nullable=False),
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("sent_time", _Moment),
    # The reason with which alerts refused it last; empty: it did not.
    Column("refusal", Text, nullable=False, server_default=""),
)

# One row.
service_state = Table(
    "service_state",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    # Seconds between two evaluations by themselves; 0: none.
    Column("interval_seconds", Float(53), nullable=False),
    Column("next_time", _Moment),
    Column("schedule_revision", BigInteger, nullable=False),
    Column("decision_revision", BigInteger, nullable=False, server_default="0"),
    Column("demo_start_time", _Moment),
    CheckConstraint("id = 1", name="one_row"),
    CheckConstraint("interval_seconds >= 0 and interval_seconds < 'infinity'", name="interval"),
)
