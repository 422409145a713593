"""ACTION: messages for machines."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    for table in ("message", "delivery"):
        op.drop_constraint(f"{table}_level", table, type_="check")
        op.create_check_constraint(f"{table}_level", table, "level between 1 and 4")
