"""A column and an index are called what they are; levels are the numbers of the protocol."""

from alembic import op

revision = "0007"
down_revision = "0006"

_COLUMNS = (
    ("badge", "level"),
    ("dismissal", "level"),
    ("outbox", "level"),
    ("setting", "notification_level"),
)


def upgrade() -> None:
    op.alter_column("incident", "told", new_column_name="notified")
    op.execute("alter index run_looked rename to run_not_skipped")
    for table, column in _COLUMNS:
        op.execute(
            f"alter table {table} alter column {column} type smallint using"
            f" array_position(array['NORMAL', 'LOW', 'MEDIUM', 'HIGH'], {column})"
        )
    op.execute(
        "update badge set parts = (select jsonb_agg(part || jsonb_build_object('level',"
        " array_position(array['NORMAL', 'LOW', 'MEDIUM', 'HIGH'], part ->> 'level'))"
        " order by place) from jsonb_array_elements(parts) with ordinality"
        " as listed (part, place)) where parts <> '[]'"
    )
