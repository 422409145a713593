"""An incident knows whom it is about (of one that is open already, those still bad join it); DEMO
is kept.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import Boolean, Column
from sqlalchemy.dialects.postgresql import JSONB

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("incident", Column("members", JSONB(), nullable=False, server_default="{}"))
    op.add_column("beat", Column("demo", Boolean()))
    op.add_column("outbox", Column("demo", Boolean(), nullable=False, server_default="false"))
