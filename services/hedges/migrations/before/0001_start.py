"""start"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "caller_epoch",
        sa.Column("caller", sa.Text(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("caller"),
    )
    op.create_table(
        "grouping",
        sa.Column("only", sa.Integer(), nullable=False),
        sa.Column("membership_epoch", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("only"),
    )
    op.create_table(
        "hedge",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("wallet", sa.Text(), nullable=False),
        sa.Column("asset", sa.Text(), nullable=False),
        sa.Column("position_ids", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("created_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("total_long_size_usd", sa.Float(precision=53), nullable=False),
        sa.Column("total_short_size_usd", sa.Float(precision=53), nullable=False),
        sa.Column("long_heat", sa.Float(precision=53), nullable=True),
        sa.Column("short_heat", sa.Float(precision=53), nullable=True),
        sa.Column("total_heat", sa.Float(precision=53), nullable=True),
        sa.Column("hedge_ratio", sa.Float(precision=53), nullable=True),
        sa.Column("net_delta_tokens", sa.Float(precision=53), nullable=True),
        sa.Column("net_delta_usd", sa.Float(precision=53), nullable=True),
        sa.Column("imbalance_usd", sa.Float(precision=53), nullable=True),
        sa.Column("net_pnl_usd", sa.Float(precision=53), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("wallet", "asset", name="hedge_wallet_asset"),
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
