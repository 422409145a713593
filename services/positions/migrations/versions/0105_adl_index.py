"""How early a venue would take a winning position; not known of those from before."""

from alembic import op

revision = "0105"
down_revision = "0104"


def upgrade() -> None:
    op.execute("alter table position add column adl_index double precision not null default 'NaN'")
    op.execute("alter table position alter column adl_index drop default")
