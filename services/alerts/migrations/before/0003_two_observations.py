"""Market rules remember the first of the two observations that let them fall."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column(
        "rule", sa.Column("falling", sa.SmallInteger(), server_default="0", nullable=False)
    )
