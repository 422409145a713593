"""What venues ask of positions: the margin to keep, and the carry by the hour."""

import sqlalchemy as sa
from alembic import op

revision = "0002_venue_terms"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "venue_terms",
        sa.Column(
            "position_key",
            sa.BigInteger,
            sa.ForeignKey(
                "position.position_key", ondelete="CASCADE", name="venue_terms_position_key"
            ),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("maintenance_ratio", sa.Float(53), nullable=False),
        sa.Column("hourly_carry_usd", sa.Float(53), nullable=False),
        sa.Column("carry_source", sa.Text, nullable=False, server_default=""),
    )
