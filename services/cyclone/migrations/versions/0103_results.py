"""Who hears how a cycle ended."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0103"
down_revision = "0102"


def upgrade() -> None:
    to = sa.Column("deliver_to", ARRAY(sa.Text), nullable=False, server_default=sa.text("'{}'"))
    problem = sa.Column("result_problem", sa.Text, nullable=False, server_default=sa.text("''"))
    op.add_column("cycle", to)
    op.add_column("cycle", sa.Column("result_time", sa.DateTime(timezone=True)))
    op.add_column("cycle", problem)
    op.create_index(
        "cycle_result_due",
        "cycle",
        ["created_time"],
        postgresql_where=sa.text("state > 2 and deliver_to <> '{}' and result_time is null"),
    )
