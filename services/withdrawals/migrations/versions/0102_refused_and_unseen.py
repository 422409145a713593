"""News that alerts refused says why; of a wallet it is known whether the venue ever told of it."""

from alembic import op

revision = "0102"
down_revision = "0101"


def upgrade() -> None:
    op.execute("alter table outbox add column refusal text not null default ''")
    op.execute("alter table sync_cursor add column is_seen boolean")
