"""Columns and tables have the field's words; edits of price rules have a version."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.execute("alter table wording rename to annotations")
    op.execute("alter index if exists wording_pkey rename to annotations_pkey")
    for table in ("alert", "rule"):
        op.alter_column(table, "told_level", new_column_name="notified_level")
        op.alter_column(table, "told_micros", new_column_name="notified_micros")
    op.execute("alter table alert rename constraint told_level_known to notified_level_known")
    op.execute("alter table outbox rename constraint level_can_be_told to level_can_be_notified")
    op.alter_column("service_state", "heard_sequence", new_column_name="acknowledged_sequence")
    op.add_column(
        "service_state",
        sa.Column("rule_version", sa.BigInteger(), server_default="0", nullable=False),
    )
    # Answers of steps that a cycle may still ask for name their fields like the code.
    op.execute(
        "update step_answer set answer ="
        """ convert_to(replace(convert_from(answer, 'UTF8'), '"told":', '"notified":'), 'UTF8')"""
    )
