"""What began and ended before it could be told."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.drop_constraint("delivery_reason", "delivery", type_="check")
    op.create_check_constraint("delivery_reason", "delivery", "reason between 1 and 5")
