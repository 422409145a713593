"""The tables of monitor."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Float,
    Identity,
    Index,
    MetaData,
    SmallInteger,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB

from shared.database.fence import declare_fence

metadata = MetaData()

run = Table(
    "run",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("monitor", Text, nullable=False),
    Column("started_time", DateTime(timezone=True), nullable=False),
    Column("duration_seconds", Float(53), nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("metadata", JSONB, nullable=False),
    Column("error", Text, nullable=False),
    Column("cycle_id", Text, nullable=False),
    CheckConstraint("status between 1 and 4", name="run_status"),
    CheckConstraint("duration_seconds >= 0", name="run_duration"),
)
Index("run_monitor_id", run.c.monitor, run.c.id)

badge = Table(
    "badge",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Column("level", Text, nullable=False),
    Column("badge_time", DateTime(timezone=True), nullable=False),
    Column("monitor", Text, nullable=False),
    Column("stale", Boolean, nullable=False),
)

# At most one open incident a monitor.
incident = Table(
    "incident",
    metadata,
    Column("monitor", Text, primary_key=True),
    Column("id", Text, nullable=False),
    Column("since_time", DateTime(timezone=True), nullable=False),
)

# What must be told; a row goes when xcom has it.
outbox = Table(
    "outbox",
    metadata,
    Column("id", Text, primary_key=True),
    Column("level", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("created_time", DateTime(timezone=True), nullable=False),
)

declare_fence(metadata)
