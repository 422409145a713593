"""Versions of the price rules, and where deleted ones stood."""

from alembic import op

revision = "0108"
down_revision = "0107"


def upgrade() -> None:
    op.execute(
        "create table rule_set (number bigint primary key,"
        " saved_time timestamp with time zone not null, actor text not null,"
        " reason text not null, content jsonb not null)"
    )
    op.execute(
        "create table deleted_rule (rule_key bigint primary key, incident_count integer not null,"
        " revision integer not null, deleted_time timestamp with time zone not null)"
    )
