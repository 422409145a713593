"""The one row that writers lock is called what it is."""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.execute("alter table docket rename to service_state")
    op.execute("alter index if exists docket_pkey rename to service_state_pkey")
