"""Versions of the thresholds."""

from alembic import op

revision = "0105"
down_revision = "0104"


def upgrade() -> None:
    op.execute(
        "create table threshold_set (number bigint primary key,"
        " saved_time timestamp with time zone not null, actor text not null,"
        " reason text not null, content jsonb not null)"
    )
