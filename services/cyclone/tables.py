"""The tables of cyclone: lease and setting, cycles with their steps, the log, incidents."""

from __future__ import annotations

from sqlalchemy import (
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
    MetaData,
    SmallInteger,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

metadata = MetaData()

# One row; only the database's clock is compared with expires_time.
lease = Table(
    "lease",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, nullable=False),
    Column("owner", Text, nullable=False),
    Column("expires_time", DateTime(timezone=True), nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)

setting = Table(
    "setting",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("interval_seconds", Double, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("next_time", DateTime(timezone=True), nullable=False),
    Column("missed_count", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
    CheckConstraint(
        "interval_seconds >= 5 and interval_seconds <= 86400", name="interval_in_range"
    ),
    CheckConstraint("missed_count >= 0", name="missed_count_not_negative"),
)

cycle = Table(
    "cycle",
    metadata,
    Column("id", Text, primary_key=True),
    Column("state", SmallInteger, nullable=False),
    Column("cause", SmallInteger, nullable=False),
    Column("slot_time", DateTime(timezone=True)),
    Column("created_time", DateTime(timezone=True), nullable=False),
    Column("started_time", DateTime(timezone=True)),
    Column("ended_time", DateTime(timezone=True)),
    Column("epoch", BigInteger, nullable=False),
    Column("message", Text, nullable=False),
    Column("demo", Boolean, nullable=False),
    Column("cancel", Boolean, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("deliver_to", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("result_time", DateTime(timezone=True)),
    Column("result_problem", Text, nullable=False, server_default=text("''")),
    # In the order of the cycle, each as the domain's Step has it.
    Column("steps", JSONB, nullable=False),
    CheckConstraint("state between 1 and 6", name="state_known"),
    CheckConstraint("cause between 1 and 3", name="cause_known"),
    # Two running cycles cannot be, whatever any owner believes.
    Index("cycle_one_running", "state", unique=True, postgresql_where=text("state = 2")),
    Index("cycle_unended", "state", "created_time", postgresql_where=text("state <= 2")),
    Index("cycle_request", "request_id", unique=True, postgresql_where=text("request_id <> ''")),
    Index("cycle_newest", "created_time", "id"),
    Index(
        "cycle_result_due",
        "created_time",
        postgresql_where=text("state > 2 and deliver_to <> '{}' and result_time is null"),
    ),
)

event = Table(
    "event",
    metadata,
    Column("id", BigInteger, Identity(always=False), primary_key=True),
    Column("event_time", DateTime(timezone=True), nullable=False),
    Column("severity", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("cycle_id", Text, nullable=False),
    # By the cycle alone: its lines share one entry. They come in the order of their ids.
    Index("event_by_cycle", "cycle_id"),
    Index("event_by_time", "event_time"),
)

# Of a cycle in which something happened: what no service keeps by cycle.
report = Table(
    "report",
    metadata,
    Column("cycle_id", Text, ForeignKey("cycle.id", ondelete="CASCADE"), primary_key=True),
    Column("made_time", DateTime(timezone=True), nullable=False),
    Column("sections", JSONB, nullable=False),
    Index("report_by_time", "made_time"),
)

incident = Table(
    "incident",
    metadata,
    Column("name", Text, primary_key=True),
    Column("bad_count", Integer, nullable=False),
    Column("open", Boolean, nullable=False),
    Column("id", Text, nullable=False),
    Column("summary", Text, nullable=False),
    Column("notified_by", Text, nullable=False),
    Column("resolving", Boolean, nullable=False),
)

# As the owner of the lease last heard of them.
stream = Table(
    "stream",
    metadata,
    Column("service", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("state", SmallInteger, nullable=False),
    Column("since_time", DateTime(timezone=True), nullable=False),
    Column("reason", Text, nullable=False),
    CheckConstraint("state between 1 and 3", name="stream_state_known"),
)

# The database was filled from a backup; `held`: what waited in it and is told to nobody.
restore = Table(
    "restore",
    metadata,
    Column("id", BigInteger, Identity(always=False), primary_key=True),
    Column("taken_time", DateTime(timezone=True), nullable=False),
    Column("restored_time", DateTime(timezone=True), nullable=False),
    Column("held", JSONB, nullable=False, server_default=text("'[]'")),
    Column("held_change_count", BigInteger, nullable=False, server_default=text("0")),
    Column("told_time", DateTime(timezone=True)),
)

drill = Table(
    "drill",
    metadata,
    Column("id", Text, primary_key=True),
    Column("state", SmallInteger, nullable=False),
    Column("start_time", DateTime(timezone=True), nullable=False),
    Column("limit_seconds", Double, nullable=False),
    Column("code_hash", Text, nullable=False),
    Column("begun_time", DateTime(timezone=True)),
    Column("ended_time", DateTime(timezone=True)),
    CheckConstraint("state between 1 and 6", name="drill_state_known"),
    # One at a time.
    Index("drill_open", text("(state <= 2)"), unique=True, postgresql_where=text("state <= 2")),
)
