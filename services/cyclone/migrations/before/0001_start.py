"""The start: lease and setting, cycles and steps, the log, incidents."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None


def upgrade() -> None:
    _create_lease()
    _create_cycle()
    _create_step()
    _create_log()


def _create_lease() -> None:
    op.create_table(
        "lease",
        sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("expires_time", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("id = 1", name="one_row"),
    )
    op.execute("insert into lease (id, epoch, owner, expires_time) values (1, 0, '', '-infinity')")
    op.create_table(
        "setting",
        sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("interval_seconds", sa.Double, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("next_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("missed_count", sa.BigInteger, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.CheckConstraint("id = 1", name="one_row"),
        sa.CheckConstraint(
            "interval_seconds >= 5 and interval_seconds <= 86400", name="interval_in_range"
        ),
        sa.CheckConstraint("missed_count >= 0", name="missed_count_not_negative"),
    )


def _create_cycle() -> None:
    op.create_table(
        "cycle",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("state", sa.SmallInteger, nullable=False),
        sa.Column("cause", sa.SmallInteger, nullable=False),
        sa.Column("slot_time", sa.DateTime(timezone=True)),
        sa.Column("created_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_time", sa.DateTime(timezone=True)),
        sa.Column("ended_time", sa.DateTime(timezone=True)),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("demo", sa.Boolean, nullable=False),
        sa.Column("cancel", sa.Boolean, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.CheckConstraint("state between 1 and 6", name="state_known"),
        sa.CheckConstraint("cause between 1 and 2", name="cause_known"),
    )
    op.create_index(
        "cycle_one_running", "cycle", ["state"], unique=True, postgresql_where=sa.text("state = 2")
    )
    op.create_index(
        "cycle_unended", "cycle", ["state", "created_time"], postgresql_where=sa.text("state <= 2")
    )
    op.create_index(
        "cycle_request",
        "cycle",
        ["request_id"],
        unique=True,
        postgresql_where=sa.text("request_id <> ''"),
    )
    op.create_index("cycle_newest", "cycle", ["created_time", "id"])


def _create_step() -> None:
    op.create_table(
        "step",
        sa.Column(
            "cycle_id", sa.Text, sa.ForeignKey("cycle.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("place", sa.SmallInteger, nullable=False),
        sa.Column("state", sa.SmallInteger, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("started_time", sa.DateTime(timezone=True)),
        sa.Column("duration_seconds", sa.Double),
        sa.Column("counts", JSONB, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.CheckConstraint("state between 1 and 6", name="state_known"),
    )


def _create_log() -> None:
    op.create_table(
        "event",
        sa.Column("id", sa.BigInteger, sa.Identity(always=False), primary_key=True),
        sa.Column("event_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("severity", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("cycle_id", sa.Text, nullable=False),
    )
    op.create_index("event_by_cycle", "event", ["cycle_id", "id"])
    op.create_index("event_by_time", "event", ["event_time"])
    op.create_table(
        "incident",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("bad_count", sa.Integer, nullable=False),
        sa.Column("open", sa.Boolean, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("summary", sa.Text, nullable=False),
        sa.Column("told", sa.Text, nullable=False),
        sa.Column("resolving", sa.Boolean, nullable=False),
    )
