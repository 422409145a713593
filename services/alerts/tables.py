"""The tables of alerts. Hot ones are fixed width; texts stand beside them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.types import TypeEngine

from shared.database.fence import declare_fence
from shared.versions.store import declare_versions

metadata = MetaData()


def _required(kind: TypeEngine[Any] | type[TypeEngine[Any]], *names: str) -> Iterator[Column[Any]]:
    """Columns of one type that are never NULL."""
    return (Column(name, kind, nullable=False) for name in names)


# One row: what everybody who writes locks first, and by which readers know that their snapshot is
# old.
service_state = Table(
    "service_state",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    # Random numbers, not counters: after a lost commit a counter would come to the same value
    # again.
    *_required(BigInteger, "alert_version", "evaluation_version", "threshold_version"),
    # What the last CreateAlerts rested on.
    *_required(BigInteger, "membership_epoch", "created_threshold_version"),
    Column("complete", Boolean, nullable=False),
    # What the last ClearStaleAlerts rested on.
    *_required(BigInteger, "cleared_epoch", "next_alert_key", "next_subject_key"),
    Column("demo", Boolean, nullable=False),
    Column("next_rule_key", BigInteger, nullable=False, server_default="1"),
    # The last acknowledgement read from the notification service.
    Column("acknowledged_sequence", BigInteger, nullable=False, server_default="0"),
    # Random like the others; moves with every edit of a price rule.
    Column("rule_version", BigInteger, nullable=False, server_default="0"),
    # The last event of positions that was told.
    Column("event_sequence", BigInteger, nullable=False, server_default="0"),
    # Until when, after a restore, what it left untold waits for a fresh reading; 0: it does not;
    # -1: nothing was judged since.
    Column("fresh_only_until_micros", BigInteger, nullable=False, server_default="0"),
    # Assets whose prices the last cycle brought.
    Column("tracked_assets", ARRAY(Text), nullable=False, server_default="{}"),
    CheckConstraint("id = 1", name="one_row"),
)

asset = Table(
    "asset",
    metadata,
    Column("asset_key", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False, unique=True),
)

# Positive keys are position keys, 0 is the portfolio, negative ones are prices and incidents.
subject = Table(
    "subject",
    metadata,
    Column("subject_key", BigInteger, primary_key=True, autoincrement=False),
    *_required(Text, "name", "wallet"),
    Column("side_sign", SmallInteger, nullable=False),
    Column("summary", Text, nullable=False),
    Index("subject_by_name", "name"),
)

alert = Table(
    "alert",
    metadata,
    Column("alert_key", BigInteger, primary_key=True, autoincrement=False),
    *_required(
        BigInteger, "subject_key", "notified_micros", "last_triggered_micros", "created_micros"
    ),
    *_required(Double, "starting_value", "trigger_value"),
    *_required(Integer, "asset_key", "incident_count", "trigger_count", "cooldown_seconds"),
    # type * 4 + condition
    *_required(SmallInteger, "kind", "level", "previous_level", "notified_level"),
    # A rise that a cooldown or a hold kept back; 0 none.
    Column("kept_level", SmallInteger, nullable=False, server_default="0"),
    # What a person made of it: SILENCED or ACKNOWLEDGED up to a level and until a moment; 0
    # nothing.
    Column("held_status", SmallInteger, nullable=False, server_default="0"),
    Column("held_level", SmallInteger, nullable=False, server_default="0"),
    Column("held_until_micros", BigInteger, nullable=False, server_default="0"),
    # Sum of: 1 switched off by hand, 2 has words, 4 made by hand.
    Column("trait_bits", SmallInteger, nullable=False, server_default="0"),
    Column("revision", Integer, nullable=False, server_default="1"),
    # The digest that last told of its present incident; 0 when it was told by itself, or not.
    Column("digest_sequence", BigInteger, nullable=False, server_default="0"),
    Index("alert_held", "held_until_micros", postgresql_where=text("held_status <> 0")),
    Index(
        "alert_once",
        "subject_key",
        "kind",
        unique=True,
        postgresql_where=text("(trait_bits & 4) = 0"),
    ),
    CheckConstraint("level between 1 and 4 and previous_level between 1 and 4", name="level_known"),
    CheckConstraint("notified_level between 0 and 4", name="notified_level_known"),
    CheckConstraint("incident_count >= 0 and trigger_count >= 0", name="counts_not_negative"),
)

# Texts of a person about an alert; most alerts have none.
annotation = Table(
    "annotations",
    metadata,
    Column("alert_id", Text, primary_key=True),
    Column("notes", Text, nullable=False),
    Column("channels", ARRAY(Text), nullable=False),
)

threshold_set = declare_versions(metadata, "threshold_set")
rule_set = declare_versions(metadata, "rule_set")

# Where deleted price rules stood: one that a version brings back goes on from there.
deleted_rule = Table(
    "deleted_rule",
    metadata,
    Column("rule_key", BigInteger, primary_key=True, autoincrement=False),
    *_required(Integer, "incident_count", "revision"),
    Column("deleted_time", DateTime(timezone=True), nullable=False),
)

# Price rules with where they stand; NaN is absent, 0 micros is never.
rule = Table(
    "rule",
    metadata,
    Column("rule_key", BigInteger, primary_key=True, autoincrement=False),
    Column("asset", Text, nullable=False),
    *_required(SmallInteger, "metric", "direction"),
    Column("threshold", Double, nullable=False),
    Column("recurrence", SmallInteger, nullable=False),
    *_required(Integer, "window_seconds", "cooldown_seconds"),
    Column("level", SmallInteger, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("channels", ARRAY(Text), nullable=False),
    Column("notes", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("created_micros", BigInteger, nullable=False),
    Column("armed", Boolean, nullable=False),
    Column("anchor_price_usd", Double),
    Column("anchor_micros", BigInteger, nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("falling", SmallInteger, nullable=False, server_default="0"),
    Column("ratio", Double),
    Column("price_usd", Double),
    Column("price_micros", BigInteger, nullable=False),
    Column("notified_level", SmallInteger, nullable=False),
    Column("notified_micros", BigInteger, nullable=False),
    *_required(Integer, "incident_count", "breach_count"),
    CheckConstraint("threshold > 0 and threshold < 'infinity'", name="threshold_positive"),
)

# Prices seen, for rules with a window: a day of them.
rule_sample = Table(
    "rule_sample",
    metadata,
    Column("asset", Text, primary_key=True),
    Column("observed_micros", BigInteger, primary_key=True, autoincrement=False),
    Column("price_usd", Double, nullable=False),
    CheckConstraint("price_usd > 0 and price_usd < 'infinity'", name="price_positive"),
)

# What each evaluation saw, packed: the last two runs.
evaluation = Table(
    "evaluation",
    metadata,
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("evaluated_micros", BigInteger, nullable=False),
    *_required(LargeBinary, "alert_key", "value", "observed_micros", "state", "falling"),
    # Of positions by a mark that stands still; empty while every mark moves.
    Column("estimates", LargeBinary, nullable=False, server_default=""),
)

threshold = Table(
    "threshold",
    metadata,
    Column("id", Text, primary_key=True),
    *_required(SmallInteger, "type", "condition"),
    Column("asset", Text, nullable=False),
    Column("low", Double),
    Column("medium", Double),
    Column("high", Double),
    Column("enabled", Boolean, nullable=False),
    *_required(ARRAY(Text), "low_channels", "medium_channels", "high_channels"),
    Column("revision", BigInteger, nullable=False),
    Column("updated_time", DateTime(timezone=True), nullable=False),
    UniqueConstraint("type", "condition", "asset", name="threshold_once"),
    CheckConstraint("condition between 1 and 2", name="condition_known"),
    CheckConstraint(
        "case condition when 1 then coalesce(low <= medium, true) and coalesce(medium <= high, "
        "true)"
        " and coalesce(low <= high, true)"
        " else coalesce(low >= medium, true) and coalesce(medium >= high, true)"
        " and coalesce(low >= high, true) end",
        name="limits_in_order",
    ),
)

ledger = Table(
    "ledger",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("entry_time", DateTime(timezone=True), nullable=False),
    Column("alert_id", Text, nullable=False),
    Column("type", SmallInteger, nullable=False),
    *_required(Text, "actor", "reason"),
    *_required(SmallInteger, "level_before", "level_after"),
    Column("value", Double),
    Column("flip_value", Double),
    *_required(Text, "inputs_json", "cycle_id", "subject"),
    *_required(LargeBinary, "previous_hash", "hash"),
    # Of a change of level the inputs as packed numbers, and `inputs_json` is empty.
    Column("inputs", LargeBinary, nullable=False, server_default=text("''::bytea")),
    Index("ledger_by_alert", "alert_id", "sequence"),
    Index("ledger_gone", "subject", postgresql_where=text("reason = 'GONE'")),
    Index("ledger_sealed", "sequence", postgresql_where=text("reason = 'SEALED'")),
    Index("ledger_by_time", "entry_time", postgresql_using="brin"),
    Index("ledger_by_cycle", "cycle_id", "sequence", postgresql_where=text("cycle_id <> ''")),
)

# The last row of the ledger whose hash has left this service.
anchor = Table(
    "anchor",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("sequence", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)

# What a proof that rows of the ledger may be deleted is checked with; of the owner's functions
# alone, the running role can neither read nor write it.
cut_key = Table(
    "cut_key",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    *_required(LargeBinary, "inner_pad", "outer_pad"),
    CheckConstraint("id = 1", name="one_row"),
)

# What must be notified: a row of the ledger, of which text and id are made, and its delivery.
outbox = Table(
    "outbox",
    metadata,
    Column("ledger_sequence", BigInteger, primary_key=True, autoincrement=False),
    *_required(DateTime(timezone=True), "created_time", "due_time"),
    Column("claimed_until", DateTime(timezone=True)),
    Column("sent_time", DateTime(timezone=True)),
    Column("tries", Integer, nullable=False),
    Column("level", SmallInteger, nullable=False),
    # Not for people: the notification service alone is to know.
    Column("noted", Boolean, nullable=False, server_default="false"),
    CheckConstraint("level between 2 and 4", name="level_can_be_notified"),
    Index(
        "outbox_waiting",
        text("level desc"),
        "ledger_sequence",
        postgresql_where=text("sent_time is null"),
    ),
    Index("outbox_sent", "sent_time", postgresql_where=text("sent_time is not null")),
)

# Many changes of one commit that are told as one: its row of the ledger, and theirs.
digest = Table(
    "digest",
    metadata,
    Column("ledger_sequence", BigInteger, primary_key=True, autoincrement=False),
    *_required(ARRAY(Text), "channels", "ended_incidents"),
    # Some of what is over by it was told by a digest that goes on, or never.
    Column("heard_elsewhere", Boolean, nullable=False),
    Column("member_sequences", ARRAY(BigInteger), nullable=False),
    # The row of the ledger by which the last of its alerts left it; none: it goes on.
    Column("ended_sequence", BigInteger),
    Index("digest_ended", "ended_sequence", postgresql_where=text("ended_sequence is not null")),
)

# What evaluations read and what came of it, packed against a base; see recorder/domain/packing.
recording_base = Table(
    "recording_base",
    metadata,
    Column("base_key", BigInteger, Identity(always=True), primary_key=True),
    Column("content", LargeBinary, nullable=False),
    Column("size_bytes", Integer, nullable=False),
)
recording = Table(
    "recording",
    metadata,
    Column("recording_key", BigInteger, Identity(always=True), primary_key=True),
    Column(
        "base_key",
        BigInteger,
        ForeignKey("recording_base.base_key", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("cycle_id", Text, nullable=False),
    Column("recorded_time", DateTime(timezone=True), nullable=False),
    *_required(Integer, "alert_count", "position_count", "change_count", "notified_count"),
    Column("content", LargeBinary, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Index("recording_by_base", "base_key"),
    Index("recording_by_time", "recorded_time"),
    Index("recording_by_cycle", "cycle_id", postgresql_where=text("cycle_id <> ''")),
)

declare_fence(metadata)
