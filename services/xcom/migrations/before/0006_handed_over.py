"""What a channel took and is not known to have arrived."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column(
        "delivery", sa.Column("receipt_id", sa.Text(), nullable=False, server_default=sa.text("''"))
    )
    op.add_column(
        "delivery", sa.Column("handed_over_time", sa.DateTime(timezone=True), nullable=True)
    )
    op.drop_constraint("delivery_state", "delivery", type_="check")
    op.create_check_constraint("delivery_state", "delivery", "state between 1 and 6")
    op.drop_constraint("attempt_outcome", "attempt", type_="check")
    op.create_check_constraint("attempt_outcome", "attempt", "outcome between 1 and 5")
    op.create_index(
        "delivery_handed_over", "delivery", ["due_time"], postgresql_where=sa.text("state = 6")
    )
