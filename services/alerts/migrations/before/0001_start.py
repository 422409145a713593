"""The start: alerts and their readings, thresholds with their defaults, the ledger, the outbox."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

ABOVE, BELOW = 1, 2
# id, type, condition, low, medium, high
THRESHOLDS = (
    ("HEAT_INDEX-POSITION-ABOVE", 6, ABOVE, 30, 40, 50),
    ("TRAVEL_PERCENT-POSITION-BELOW", 3, BELOW, -20, -35, -50),
    ("LIQUIDATION_DISTANCE-POSITION-BELOW", 4, BELOW, 10, 7, 5),
    ("LIQUIDATION_DISTANCE-POSITION-BELOW-ETH", 4, BELOW, 16, 11, 8),
    ("LIQUIDATION_DISTANCE-POSITION-BELOW-SOL", 4, BELOW, 14, 10, 7),
    ("LIQUIDATION_PROBABILITY-POSITION-ABOVE", 5, ABOVE, 0.05, 0.15, 0.30),
    ("PROFIT-POSITION-ABOVE", 7, ABOVE, 10, 25, 50),
    ("TOTAL_PROFIT-PORTFOLIO-ABOVE", 11, ABOVE, 25, 50, 75),
    ("TOTAL_VALUE-PORTFOLIO-ABOVE", 9, ABOVE, 10000, 25000, 50000),
    ("TOTAL_SIZE-PORTFOLIO-ABOVE", 10, ABOVE, 10000, 50000, 100000),
    ("AVG_LEVERAGE-PORTFOLIO-ABOVE", 12, ABOVE, 2, 5, 10),
    ("AVG_TRAVEL_PERCENT-PORTFOLIO-BELOW", 13, BELOW, -10, -25, -50),
    ("VALUE_TO_COLLATERAL_RATIO-PORTFOLIO-BELOW", 14, BELOW, 0.9, 0.7, 0.5),
    ("TOTAL_HEAT-PORTFOLIO-ABOVE", 15, ABOVE, 30, 40, 50),
)
_THRESHOLD_COLUMNS = (
    "id",
    "type",
    "condition",
    "asset",
    "low",
    "medium",
    "high",
    "enabled",
    "low_channels",
    "medium_channels",
    "high_channels",
    "revision",
    "updated_time",
)


def upgrade() -> None:
    _create_alerts()
    _create_names()
    _create_docket()
    _create_evaluation()
    _create_threshold()
    _create_ledger()
    _create_outbox()
    _create_fence()
    _seed()
    _restrict()


def _create_alerts() -> None:
    op.create_table(
        "alert",
        sa.Column("alert_key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("subject_key", sa.BigInteger(), nullable=False),
        sa.Column("told_micros", sa.BigInteger(), nullable=False),
        sa.Column("last_triggered_micros", sa.BigInteger(), nullable=False),
        sa.Column("created_micros", sa.BigInteger(), nullable=False),
        sa.Column("starting_value", sa.Double(), nullable=False),
        sa.Column("trigger_value", sa.Double(), nullable=False),
        sa.Column("asset_key", sa.Integer(), nullable=False),
        sa.Column("incident_count", sa.Integer(), nullable=False),
        sa.Column("trigger_count", sa.Integer(), nullable=False),
        sa.Column("cooldown_seconds", sa.Integer(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("previous_level", sa.SmallInteger(), nullable=False),
        sa.Column("told_level", sa.SmallInteger(), nullable=False),
        sa.CheckConstraint(
            "incident_count >= 0 and trigger_count >= 0", name="counts_not_negative"
        ),
        sa.CheckConstraint(
            "level between 1 and 4 and previous_level between 1 and 4", name="level_known"
        ),
        sa.CheckConstraint("told_level between 0 and 4", name="told_level_known"),
        sa.PrimaryKeyConstraint("alert_key"),
        sa.UniqueConstraint("subject_key", "kind", name="alert_once"),
    )
    # Updates of levels stay on their page.
    op.execute("alter table alert set (fillfactor = 60)")


def _create_names() -> None:
    op.create_table(
        "asset",
        sa.Column("asset_key", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("asset_key"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "subject",
        sa.Column("subject_key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("wallet", sa.Text(), nullable=False),
        sa.Column("side_sign", sa.SmallInteger(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("subject_key"),
    )
    op.create_index("subject_by_name", "subject", ["name"], unique=False)


def _create_docket() -> None:
    op.create_table(
        "docket",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("alert_version", sa.BigInteger(), nullable=False),
        sa.Column("evaluation_version", sa.BigInteger(), nullable=False),
        sa.Column("threshold_version", sa.BigInteger(), nullable=False),
        sa.Column("membership_epoch", sa.BigInteger(), nullable=False),
        sa.Column("created_threshold_version", sa.BigInteger(), nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.Column("cleared_epoch", sa.BigInteger(), nullable=False),
        sa.Column("next_alert_key", sa.BigInteger(), nullable=False),
        sa.Column("next_subject_key", sa.BigInteger(), nullable=False),
        sa.Column("demo", sa.Boolean(), nullable=False),
        sa.CheckConstraint("id = 1", name="one_row"),
        sa.PrimaryKeyConstraint("id"),
    )


def _create_evaluation() -> None:
    op.create_table(
        "evaluation",
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("evaluated_micros", sa.BigInteger(), nullable=False),
        sa.Column("alert_key", sa.LargeBinary(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.Column("observed_micros", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.Column("falling", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("version"),
    )
    for column in ("alert_key", "value", "observed_micros", "state", "falling"):
        # Numbers hardly compress, and trying costs more than writing them.
        op.execute(f"alter table evaluation alter column {column} set storage external")


def _create_threshold() -> None:
    op.create_table(
        "threshold",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("type", sa.SmallInteger(), nullable=False),
        sa.Column("condition", sa.SmallInteger(), nullable=False),
        sa.Column("asset", sa.Text(), nullable=False),
        sa.Column("low", sa.Double(), nullable=True),
        sa.Column("medium", sa.Double(), nullable=True),
        sa.Column("high", sa.Double(), nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("low_channels", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("medium_channels", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("high_channels", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("updated_time", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "case condition when 1 then coalesce(low <= medium, true) and coalesce(medium <= high, "
            "true)"
            " and coalesce(low <= high, true)"
            " else coalesce(low >= medium, true) and coalesce(medium >= high, true)"
            " and coalesce(low >= high, true) end",
            name="limits_in_order",
        ),
        sa.CheckConstraint("condition between 1 and 2", name="condition_known"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("type", "condition", "asset", name="threshold_once"),
    )


def _create_ledger() -> None:
    op.create_table(
        "anchor",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("id = 1", name="one_row"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "ledger",
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("entry_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("alert_id", sa.Text(), nullable=False),
        sa.Column("type", sa.SmallInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("level_before", sa.SmallInteger(), nullable=False),
        sa.Column("level_after", sa.SmallInteger(), nullable=False),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("flip_value", sa.Double(), nullable=True),
        sa.Column("inputs_json", sa.Text(), nullable=False),
        sa.Column("cycle_id", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("previous_hash", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sequence"),
    )
    op.create_index("ledger_by_alert", "ledger", ["alert_id", "sequence"], unique=False)
    op.create_index(
        "ledger_by_cycle",
        "ledger",
        ["cycle_id", "sequence"],
        unique=False,
        postgresql_where=sa.text("cycle_id <> ''"),
    )


def _create_outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("ledger_sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("created_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sent_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.CheckConstraint("level between 2 and 4", name="level_can_be_told"),
        sa.PrimaryKeyConstraint("ledger_sequence"),
    )
    op.create_index(
        "outbox_sent",
        "outbox",
        ["sent_time"],
        unique=False,
        postgresql_where=sa.text("sent_time is not null"),
    )
    op.create_index(
        "outbox_waiting",
        "outbox",
        [sa.literal_column("level desc"), "ledger_sequence"],
        unique=False,
        postgresql_where=sa.text("sent_time is null"),
    )


def _create_fence() -> None:
    op.create_table(
        "caller_epoch",
        sa.Column("caller", sa.Text(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("caller"),
    )
    op.create_table(
        "step_answer",
        sa.Column("cycle_id", sa.Text(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=False),
        sa.Column("answer_time", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("cycle_id", "step"),
    )
    op.create_index(
        op.f("ix_step_answer_answer_time"), "step_answer", ["answer_time"], unique=False
    )


def _seed() -> None:
    op.execute(
        "insert into docket (id, alert_version, evaluation_version, threshold_version,"
        " membership_epoch,"
        " created_threshold_version, complete, cleared_epoch, next_alert_key, next_subject_key,"
        " demo)"
        " values (1, 0, 0, 1, -1, 0, false, -1, 1, -1, false)"
    )
    op.execute("insert into asset (asset_key, name) values (0, '')")
    op.execute(
        "insert into subject (subject_key, name, wallet, side_sign, summary) values (0, '', '', 0,"
        " '')"
    )
    threshold = sa.table("threshold", *(sa.column(name) for name in _THRESHOLD_COLUMNS))
    op.bulk_insert(
        threshold,
        [dict(zip(_THRESHOLD_COLUMNS, _threshold(*row), strict=True)) for row in THRESHOLDS],
    )


def _threshold(
    id: str, alert_type: int, condition: int, low: float, medium: float, high: float
) -> tuple[object, ...]:
    asset = id.split("-", 3)[3] if id.count("-") > 2 else ""
    return (
        id,
        alert_type,
        condition,
        asset,
        low,
        medium,
        high,
        True,
        [],
        [],
        [],
        1,
        datetime(1970, 1, 1, tzinfo=UTC),
    )


def _restrict() -> None:
    # The running role reads and appends; nobody but the owner could change what is written.
    op.execute(
        "do $$ begin execute format('revoke update, delete on ledger from %I', current_schema()); "
        "end $$"
    )
