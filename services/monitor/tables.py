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
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

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
# The last run that was not SKIPPED, however long a monitor has been skipped since.
Index("run_not_skipped", run.c.monitor, run.c.id, postgresql_where=text("status <> 3"))
Index("run_cycle", run.c.cycle_id, postgresql_where=text("cycle_id <> ''"))

# What people chose; null leaves a monitor its own. No row: nothing was ever chosen.
setting = Table(
    "setting",
    metadata,
    Column("monitor", Text, primary_key=True),
    Column("enabled", Boolean),
    Column("interval_seconds", Float(53)),
    Column("threshold_percent", Float(53)),
    Column("notification_level", SmallInteger),
    Column("channels", ARRAY(Text), nullable=False),
    Column("snooze_seconds", Float(53)),
    Column("snoozed_until_time", DateTime(timezone=True)),
    Column("snoozed_time", DateTime(timezone=True)),
    Column("version", BigInteger, nullable=False),
    CheckConstraint(
        "interval_seconds > 0 and interval_seconds < 'infinity'", name="setting_interval"
    ),
    CheckConstraint(
        "threshold_percent >= 0 and threshold_percent < 'infinity'", name="setting_threshold"
    ),
    CheckConstraint("snooze_seconds >= 0 and snooze_seconds < 'infinity'", name="setting_snooze"),
)

badge = Table(
    "badge",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Column("level", SmallInteger, nullable=False),
    Column("badge_time", DateTime(timezone=True), nullable=False),
    Column("monitor", Text, nullable=False),
    Column("stale", Boolean, nullable=False),
    # Subject by subject: [{subject, value, level, stale, badness}], the worst first.
    Column("parts", JSONB, nullable=False, server_default="[]"),
    Column("listed", Boolean, nullable=False, server_default="false"),
)

# What somebody has seen of a badge: hidden while that subject is no worse.
dismissal = Table(
    "dismissal",
    metadata,
    Column("badge", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("level", SmallInteger, nullable=False),
    Column("badness", Float(53)),
    Column("dismissed_time", DateTime(timezone=True), nullable=False),
)

# At most one open incident a monitor.
incident = Table(
    "incident",
    metadata,
    Column("monitor", Text, primary_key=True),
    Column("id", Text, nullable=False),
    Column("since_time", DateTime(timezone=True), nullable=False),
    # Who was found, each with since when it is well again (null: it is not).
    Column("members", JSONB, nullable=False, server_default="{}"),
    Column("notified", Boolean, nullable=False, server_default="true"),
    # Of the beginning and of each that joined: its key and whom people were told of.
    Column("tellings", JSONB, nullable=False, server_default="[]"),
)

# Notifications to send; a row goes when xcom has it.
outbox = Table(
    "outbox",
    metadata,
    Column("id", Text, primary_key=True),
    Column("level", SmallInteger, nullable=False),
    Column("subject", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("created_time", DateTime(timezone=True), nullable=False),
    Column("channels", ARRAY(Text), nullable=False, server_default="{}"),
    Column("demo", Boolean, nullable=False, server_default="false"),
    Column("incident_key", Text, nullable=False, server_default=""),
    Column("ends_incident", Boolean, nullable=False, server_default="false"),
    Column("ended_incident_keys", ARRAY(Text), nullable=False, server_default="{}"),
    # Whose it is; empty: not noted.
    Column("monitor", Text, nullable=False, server_default=""),
)

# One row: when Cyclone last called.
beat = Table(
    "beat",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("call_time", DateTime(timezone=True), nullable=False),
    Column("cycle_interval_seconds", Float(53)),
    # Whether prices and positions were simulated; null: it never said.
    Column("demo", Boolean),
    CheckConstraint("id = 1", name="beat_one"),
)

# Which process runs a monitor that is due; several run at the same time.
claim = Table(
    "claim",
    metadata,
    Column("monitor", Text, primary_key=True),
    Column("until_time", DateTime(timezone=True), nullable=False),
)

declare_fence(metadata)
