"""Of each telling of an incident its key and its members, so that one can end before the others."""

from alembic import op

revision = "0102"
down_revision = "0101"


def upgrade() -> None:
    op.execute("alter table incident add column tellings jsonb not null default '[]'")
    # Whom they were about is not known: they end with the incident.
    op.execute(
        "update incident set tellings = (select jsonb_agg(jsonb_build_object("
        "'key', key, 'members', '[]'::jsonb) order by place) from unnest(id || joined_keys)"
        " with ordinality as told(key, place))"
    )
    op.execute("alter table incident drop column joined_keys")
