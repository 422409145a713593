"""Versions of the settings of channels, levels and contacts."""

from alembic import op

revision = "0106"
down_revision = "0105"


def upgrade() -> None:
    op.execute(
        "create table setting_set (number bigint primary key,"
        " saved_time timestamp with time zone not null, actor text not null,"
        " reason text not null, content jsonb not null)"
    )
