"""Rows whose figures leapt wait here until they were observed often enough to be believed."""

import sqlalchemy as sa
from alembic import op

revision = "0005_quarantine"
down_revision = "0004_room_for_changes"

_FIGURES = (
    "entry_price_usd",
    "size_usd",
    "collateral_usd",
    "mark_price_usd",
    "liquidation_price_usd",
)


def upgrade() -> None:
    op.create_table(
        "quarantined_row",
        sa.Column(
            "position_key",
            sa.BigInteger,
            sa.ForeignKey(
                "position.position_key", ondelete="CASCADE", name="quarantined_row_position_key"
            ),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("first_micros", sa.BigInteger, nullable=False),
        sa.Column("last_micros", sa.BigInteger, nullable=False),
        sa.Column("observed_count", sa.Integer, nullable=False),
        *(sa.Column(name, sa.Float(53), nullable=False) for name in _FIGURES),
    )
