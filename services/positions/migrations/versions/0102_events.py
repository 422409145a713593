"""What happened to positions: opened, grew, shrank, closed, liquidated, each once and in order."""

from alembic import op

revision = "0102"
down_revision = "0101"

_TABLES = """
alter table service_state add column event_sequence bigint default 0 not null;
create table position_event (
    sequence bigint primary key,
    event_time timestamp with time zone not null,
    kind smallint not null,
    position_id text not null,
    wallet text not null,
    venue text not null,
    asset text not null,
    side smallint not null,
    size_before_usd double precision,
    size_after_usd double precision,
    position_count integer not null,
    cycle_id text not null
);
create index position_event_time on position_event (event_time)
"""


def upgrade() -> None:
    for statement in _TABLES.split(";\n"):
        op.execute(statement)
