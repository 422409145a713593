"""What the touch probability said, and what came of it."""

from alembic import op

revision = "0104"
down_revision = "0103"

_TABLES = """
create table touch_statement (
    market smallint not null,
    asset text not null,
    hour integer not null,
    stated_time timestamp with time zone not null,
    until_time timestamp with time zone not null,
    model smallint not null,
    sigma double precision not null,
    side_signs smallint[] not null,
    away double precision[] not null,
    liquidation_prices_usd double precision[] not null,
    probabilities double precision[] not null,
    state smallint default 1 not null,
    high_usd double precision default 'NaN' not null,
    low_usd double precision default 'NaN' not null,
    reason text default '' not null,
    primary key (market, asset, hour)
);
create index touch_statement_time on touch_statement (stated_time);
create index touch_statement_waiting on touch_statement (until_time) where state = 1
"""


def upgrade() -> None:
    for statement in _TABLES.split(";\n"):
        op.execute(statement)
