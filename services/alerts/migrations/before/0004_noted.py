"""What the notification service alone is to know, and how far its acknowledgements were read."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column(
        "outbox", sa.Column("noted", sa.Boolean(), server_default="false", nullable=False)
    )
    op.add_column(
        "docket", sa.Column("heard_sequence", sa.BigInteger(), server_default="0", nullable=False)
    )
