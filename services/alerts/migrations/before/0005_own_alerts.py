"""Alerts made by hand stand beside those that thresholds make; the assets whose prices cycles
bring.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.drop_constraint("alert_once", "alert", type_="unique")
    # Creation by hand used to rewrite what thresholds had made: what has a limit of its own is now
    # its own alert, and the next creation makes the one that the thresholds judge again.
    op.execute("update alert set trait_bits = trait_bits | 4 where trigger_value <> 'NaN'")
    op.create_index(
        "alert_once",
        "alert",
        ["subject_key", "kind"],
        unique=True,
        postgresql_where=sa.text("(trait_bits & 4) = 0"),
    )
    op.add_column(
        "docket",
        sa.Column("tracked_assets", sa.ARRAY(sa.Text()), server_default="{}", nullable=False),
    )
    op.execute("update docket set complete = false, alert_version = alert_version + 1")
