"""The same decision again is the same row; an asset is judged when something new is known of it."""

from alembic import op

revision = "0101"
down_revision = "0100"


def upgrade() -> None:
    op.execute("alter table decision add column since_time timestamptz, add column revision bigint")
    op.execute("update decision set since_time = evaluated_time, revision = key")
    op.execute(
        "alter table decision alter column since_time set not null,"
        " alter column revision set not null"
    )
    op.execute("create index ix_decision_revision on decision (revision)")
    op.execute("alter table service_state add column decision_revision bigint not null default 0")
    op.execute(
        "update service_state"
        " set decision_revision = (select coalesce(max(revision), 0) from decision)"
    )
    op.execute(
        "alter table asset_state add column input_version bigint not null default 1,"
        " add column judged_version bigint not null default 0,"
        " add column due_time timestamptz"
    )
