"""Of each notification that waits the monitor whose it is, to be named when its words are
refused.
"""

from alembic import op

revision = "0103"
down_revision = "0102"


def upgrade() -> None:
    op.execute("alter table outbox add column monitor text not null default ''")
