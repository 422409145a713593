"""The one row that a pass locks and the first prices of the simulation are called what they are;
totals say whether they rest on old marks.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007_service_state"
down_revision = "0006_unwatched"


def upgrade() -> None:
    op.execute("alter table house rename to service_state")
    op.execute("alter table service_state rename column house_key to state_key")
    _rename("service_state", house_pkey="service_state_pkey", house_one_row="service_state_one_row")
    op.execute("alter table demo_anchor rename to demo_price")
    _rename(
        "demo_price",
        demo_anchor_pkey="demo_price_pkey",
        demo_anchor_price_usd="demo_price_price_usd",
    )
    for table in ("service_state", "snapshot"):
        op.add_column(
            table, sa.Column("stale", sa.Boolean, nullable=False, server_default=sa.text("false"))
        )


def _rename(table: str, **names: str) -> None:
    for old, new in names.items():
        op.execute(f"alter table {table} rename constraint {old} to {new}")
