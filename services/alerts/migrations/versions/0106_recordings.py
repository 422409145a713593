"""What evaluations read, to be replayed."""

from alembic import op

revision = "0106"
down_revision = "0105"


def upgrade() -> None:
    op.execute(
        "create table recording_base (base_key bigint generated always as identity primary key,"
        " content bytea not null, size_bytes integer not null)"
    )
    op.execute(
        "create table recording (recording_key bigint generated always as identity primary key,"
        " base_key bigint not null references recording_base on delete cascade,"
        " cycle_id text not null, recorded_time timestamp with time zone not null,"
        " alert_count integer not null, position_count integer not null,"
        " change_count integer not null, notified_count integer not null,"
        " content bytea not null, size_bytes integer not null)"
    )
    op.execute("create index recording_by_base on recording (base_key)")
    op.execute("create index recording_by_time on recording (recorded_time)")
    op.execute("create index recording_by_cycle on recording (cycle_id) where cycle_id <> ''")
    # It is small already: the database need not try.
    for table in ("recording_base", "recording"):
        op.execute(f"alter table {table} alter column content set storage external")
