"""The tables of hedges."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    DateTime,
    Float,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

from shared.database.fence import declare_fence

metadata = MetaData()

hedge = Table(
    "hedge",
    metadata,
    Column("id", Text, primary_key=True),
    Column("wallet", Text, nullable=False),
    Column("asset", Text, nullable=False),
    Column("position_ids", ARRAY(Text), nullable=False),
    Column("note", Text, nullable=False, server_default=""),
    Column("created_time", DateTime(timezone=True), nullable=False),
    Column("updated_time", DateTime(timezone=True), nullable=False),
    Column("total_long_size_usd", Float(53), nullable=False),
    Column("total_short_size_usd", Float(53), nullable=False),
    Column("long_heat", Float(53)),
    Column("short_heat", Float(53)),
    Column("total_heat", Float(53)),
    Column("hedge_ratio", Float(53)),
    Column("net_delta_tokens", Float(53)),
    Column("net_delta_usd", Float(53)),
    Column("imbalance_usd", Float(53)),
    Column("net_pnl_usd", Float(53)),
    UniqueConstraint("wallet", "asset", name="hedge_wallet_asset"),
)

# Members are rewritten only when this differs from what positions says.
grouping = Table(
    "grouping",
    metadata,
    Column("only", Integer, primary_key=True),
    Column("membership_epoch", BigInteger, nullable=False),
)

declare_fence(metadata)
