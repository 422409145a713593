"""The steps of a cycle are in its row; lines of the log are found by their cycle alone."""

from alembic import op

revision = "0106"
down_revision = "0105"

_STEPS = """
alter table cycle add column steps jsonb;
update cycle set steps = coalesce(
    (select jsonb_agg(to_jsonb(step) - '{cycle_id,place,epoch}'::text[] order by place)
        from step where cycle_id = cycle.id), '[]');
alter table cycle alter column steps set not null;
drop table step;
drop index event_by_cycle
"""


def upgrade() -> None:
    for statement in _STEPS.split(";\n"):
        op.execute(statement)
    op.create_index("event_by_cycle", "event", ["cycle_id"])
