"""The SQL that writes rows of positions: by arrays, and by COPY when they are thousands."""

from collections.abc import Mapping

from services.positions.domain.venue_answer import NUMBERS
from shared.database.statement import Statement

ROW_TYPES = {
    "id": "text",
    "feed_key": "int4",
    "asset_key": "int4",
    "side": "int2",
    "in_last_answer": "bool",
    "flag_bits": "int8",
    **dict.fromkeys(NUMBERS, "float8"),
    "mark_time": "timestamptz",
    "note": "text",
}
_COMPARED = [name for name in ROW_TYPES if name not in ("id", "mark_time", "note")]
ROW_TYPES_BY_HAND = {**ROW_TYPES, "status": "int2"}


def _write(
    types: Mapping[str, str], *, status: str, new_status: str, changes_status: str
) -> Statement:
    """Rows by arrays, one a column and named like it; `now` is the time of the change.

    `status`: of a new row; `new_status`: of one that is there; `changes_status`: when that is a
    change.
    """
    now = "cast(:now as timestamptz)"
    arrays = ", ".join(f"cast(:{name} as {kind}[])" for name, kind in types.items())
    return Statement(
        "with written as ("
        f" insert into position as old ({', '.join(ROW_TYPES)},"
        " status, first_seen_time, last_seen_time, updated_time)"
        f" select {', '.join('new.' + name for name in ROW_TYPES)}, {status}, {now}, {now}, {now}"
        f" from unnest({arrays})"
        f" as new ({', '.join(types)})"
        " on conflict (id) do update set"
        f" {', '.join(f'{name} = excluded.{name}' for name in [*_COMPARED, 'mark_time'])},"
        " note = case when excluded.note = '' then old.note else excluded.note end,"
        f" status = {new_status}, last_seen_time = {now}, updated_time = {now}"
        f" where ({', '.join('old.' + name for name in _COMPARED)})"
        f" is distinct from ({', '.join('excluded.' + name for name in _COMPARED)})"
        f" or {changes_status} or (excluded.note <> '' and excluded.note <> old.note)"
        " or (not excluded.in_last_answer and old.mark_time <> excluded.mark_time)"
        " returning (xmax = 0) as created)"
        " select count(*) filter (where created) as created, count(*) as written from written"
    )


WRITE = _write(
    ROW_TYPES,
    status="1",
    new_status="case when old.status = 5 then 5 else 1 end",
    changes_status="old.status not in (1, 5)",
)
WRITE_BY_HAND = _write(
    ROW_TYPES_BY_HAND,
    status="new.status",
    new_status="excluded.status",
    changes_status="old.status <> excluded.status",
)
KNOWN = Statement(
    "select id, venue, status from position join feed using (feed_key) where id = any(:ids)"
)
# Thousands of changed rows come by COPY, into a temporary table that the commit empties.
_STAGED = {name: kind for name, kind in ROW_TYPES.items() if name not in ("id", "note")}
STAGE = Statement(
    "create temp table if not exists changed_position (position_key int8,"
    f" {', '.join(f'{name} {kind}' for name, kind in _STAGED.items())}) on commit delete rows"
)
MERGE = Statement(
    f"update position p set {', '.join(f'{name} = new.{name}' for name in _STAGED)},"
    " status = case when p.status = 5 then 5 else 1 end, last_seen_time = :now, updated_time = :now"
    " from changed_position new where new.position_key = p.position_key"
)
