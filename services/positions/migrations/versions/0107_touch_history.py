"""What the touch probability said of each position, by the hour."""

from alembic import op

revision = "0107"
down_revision = "0106"

_TABLES = """
create table touch_history (
    market smallint not null,
    asset text not null,
    hour integer not null,
    stated_time timestamp with time zone not null,
    model smallint not null,
    position_keys bigint[] not null,
    probabilities real[] not null,
    primary key (market, asset, hour)
);
create index touch_history_time on touch_history (stated_time)
"""


def upgrade() -> None:
    for statement in _TABLES.split(";\n"):
        op.execute(statement)
