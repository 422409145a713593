"""Parts of a wallet's account that are not read are kept with the wallet, in words."""

import sqlalchemy as sa
from alembic import op

revision = "0006_unwatched"
down_revision = "0005_quarantine"


def upgrade() -> None:
    op.add_column(
        "wallet",
        sa.Column("unwatched", sa.ARRAY(sa.Text), nullable=False, server_default=sa.text("'{}'")),
    )
