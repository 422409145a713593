"""Many changes of one commit are told as one digest."""

from alembic import op

revision = "0102"
down_revision = "0101"


def upgrade() -> None:
    op.execute("alter table alert add column digest_sequence bigint default 0 not null")
    op.execute(
        "create table digest (ledger_sequence bigint primary key, channels text[] not null,"
        " ended_incidents text[] not null, heard_elsewhere boolean not null,"
        " member_sequences bigint[] not null, ended_sequence bigint)"
    )
    op.execute(
        "create index digest_ended on digest (ended_sequence) where ended_sequence is not null"
    )
