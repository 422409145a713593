"""Which venues' marks stand still."""

from alembic import op

revision = "0106"
down_revision = "0105"


def upgrade() -> None:
    op.execute(
        "alter table service_state add column frozen_marks jsonb default '[]'::jsonb not null"
    )
