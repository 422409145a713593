"""history of links, modifiers, revisions; members are told apart by their signature, not by an
epoch
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(sa.schema.CreateSequence(sa.Sequence("hedge_revision")))
    op.add_column(
        "hedge", sa.Column("member_signature", sa.BigInteger(), server_default="0", nullable=False)
    )
    op.add_column(
        "hedge", sa.Column("revision", sa.BigInteger(), server_default="0", nullable=False)
    )
    op.drop_table("grouping")
    op.create_table(
        "link_change",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("hedge_id", sa.Text(), nullable=False),
        sa.Column("wallet", sa.Text(), nullable=False),
        sa.Column("asset", sa.Text(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("reason", sa.SmallInteger(), nullable=False),
        sa.Column("change_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cycle_id", sa.Text(), nullable=False),
        sa.Column("position_ids", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("joined_position_ids", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("left_position_ids", sa.ARRAY(sa.Text()), nullable=False),
        sa.CheckConstraint("kind between 1 and 3", name="link_change_kind"),
        sa.CheckConstraint("reason between 1 and 8", name="link_change_reason"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        op.f("ix_link_change_change_time"), "link_change", ["change_time"], unique=False
    )
    op.create_index("link_change_hedge", "link_change", ["hedge_id", "id"], unique=False)
    names = ("fee_percentage", "target_margin", "adjustment_factor")
    op.create_table(
        "modifiers",
        sa.Column("only", sa.SmallInteger(), autoincrement=False, nullable=False),
        *(sa.Column(name, sa.Float(precision=53), nullable=False) for name in names),
        *(
            sa.CheckConstraint(f"{name} >= 0 and {name} < 'infinity'", name=f"modifiers_{name}")
            for name in names
        ),
        sa.CheckConstraint('"only" = 1', name="modifiers_only"),
        sa.PrimaryKeyConstraint("only"),
    )
