"""The tables of hedges."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Float,
    Identity,
    Index,
    MetaData,
    Sequence,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from services.hedges.domain.modifiers import NAMES
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
    Column("stale", Boolean, nullable=False, server_default=text("true")),
    Column("member_signature", BigInteger, nullable=False, server_default="0"),
    # Of the last write, ascending over all hedges: what watchers look at.
    Column("revision", BigInteger, nullable=False, server_default="0"),
    UniqueConstraint("wallet", "asset", name="hedge_wallet_asset"),
)

hedge_revision = Sequence("hedge_revision", metadata=metadata)

link_change = Table(
    "link_change",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("hedge_id", Text, nullable=False),
    Column("wallet", Text, nullable=False),
    Column("asset", Text, nullable=False),
    Column("kind", SmallInteger, nullable=False),
    Column("reason", SmallInteger, nullable=False),
    Column("change_time", DateTime(timezone=True), nullable=False, index=True),
    Column("cycle_id", Text, nullable=False),
    Column("position_ids", ARRAY(Text), nullable=False),
    Column("joined_position_ids", ARRAY(Text), nullable=False),
    Column("left_position_ids", ARRAY(Text), nullable=False),
    CheckConstraint("kind between 1 and 3", name="link_change_kind"),
    CheckConstraint("reason between 1 and 8", name="link_change_reason"),
    Index("link_change_hedge", "hedge_id", "id"),
)

# One row once somebody has set them; before that the defaults of the domain hold.
modifiers = Table(
    "modifiers",
    metadata,
    Column("only", SmallInteger, primary_key=True, autoincrement=False),
    *(Column(name, Float(53), nullable=False) for name in NAMES),
    *(
        CheckConstraint(f"{name} >= 0 and {name} < 'infinity'", name=f"modifiers_{name}")
        for name in NAMES
    ),
    CheckConstraint('"only" = 1', name="modifiers_only"),
)

declare_fence(metadata)
