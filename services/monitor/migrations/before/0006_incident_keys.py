"""A notice names its incident, and whether it ends it; an incident knows whether it was told."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Boolean, Column, Text

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("incident", Column("told", Boolean(), nullable=False, server_default="true"))
    op.add_column("outbox", Column("incident_key", Text(), nullable=False, server_default=""))
    op.add_column(
        "outbox", Column("ends_incident", Boolean(), nullable=False, server_default="false")
    )
