"""Reports of cycles in which something happened."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0102"
down_revision = "0101"


def upgrade() -> None:
    op.create_table(
        "report",
        sa.Column("cycle_id", sa.Text, primary_key=True),
        sa.Column("made_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sections", JSONB, nullable=False),
        sa.ForeignKeyConstraint(["cycle_id"], ["cycle.id"], ondelete="CASCADE"),
    )
    op.create_index("report_by_time", "report", ["made_time"])
