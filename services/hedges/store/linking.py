"""A pass in one statement: fence, check of what it rests on, groups, history, record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields

from services.hedges.domain.grouping import Group, Stored
from services.hedges.domain.history import LinkEvent, Pass
from shared.database import fence

LOCK_WORD = "hedges grouping"
FIGURES = tuple(
    field.name
    for field in fields(Group)
    if field.name.endswith(("_usd", "_heat", "_ratio", "_tokens"))
)
# Ids hold no unit separator: it joins a list into one text, as arrays of arrays cannot be unnested.
_SEPARATOR = "\x1f"
_GROUPS = {
    "id": "text",
    "member_signature": "int8",
    **dict.fromkeys(FIGURES, "float8"),
    "stale": "bool",
}
# Of groups that came or have other members; with a wallet and an asset of those that came.
_FRESH = dict.fromkeys(("id", "wallet", "asset", "members"), "text")
LISTS = ("position_ids", "joined_position_ids", "left_position_ids")
_EVENTS = {
    **dict.fromkeys(("hedge_id", "wallet", "asset", *LISTS), "text"),
    **dict.fromkeys(("kind", "reason"), "int2"),
}
_FIRST_GROUP = 13
_FIRST_FRESH = _FIRST_GROUP + len(_GROUPS)
_FIRST_EVENT = _FIRST_FRESH + len(_FRESH)


def _arrays(types: Mapping[str, str], first: int) -> str:
    """Arrays from $first on, one a column."""
    return ", ".join(f"${place}::{kind}[]" for place, kind in enumerate(types.values(), first))


def _list(pattern: str, names: Iterable[str]) -> str:
    return ", ".join(pattern.format(name) for name in names)


_SPLIT = f"string_to_array({{}}, chr({ord(_SEPARATOR)}))"
_KEPT = ("member_signature", *FIGURES, "stale")
# The lock comes before the revisions, which ascend in the order of commits; nobody waits for it
# here. Figures are written again by the next pass: losing the last of them in a crash costs
# nothing, unlike history.
COMMIT = fence.single_statement(
    "expected as materialized (select * from unnest($8::text[], $9::int8[])"
    " as expected (id, member_signature)),"
    f" fresh as (select * from unnest({_arrays(_FRESH, _FIRST_FRESH)})"
    f" as fresh ({', '.join(_FRESH)})),"
    f" new as materialized (select * from unnest({_arrays(_GROUPS, _FIRST_GROUP)})"
    f" as new ({', '.join(_GROUPS)}) left join fresh using (id)),"
    " done as (select case when not $11 then set_config('synchronous_commit', 'off', true) end"
    f" from allowed where pg_try_advisory_xact_lock(hashtext('{LOCK_WORD}')) and not exists ("
    " select from hedge full join expected using (id, member_signature)"
    " where hedge.id is null or expected.id is null)),"
    " ended as (delete from hedge using done where hedge.id = any($10::text[])),"
    f" linked as (insert into hedge (id, wallet, asset, position_ids, {', '.join(_KEPT)},"
    " created_time, updated_time, revision)"
    f" select id, wallet, asset, {_SPLIT.format('members')}, {', '.join(_KEPT)}, $7, $7,"
    " nextval('hedge_revision') from new, done where wallet is not null),"
    " moved as (update hedge as old set updated_time = $7, revision = nextval('hedge_revision'),"
    f" {_list('{0} = new.{0}', _KEPT)}, position_ids = case when new.members is null"
    f" then old.position_ids else {_SPLIT.format('new.members')} end from new, done"
    " where old.id = new.id"
    f" and ({_list('old.{}', _KEPT)}) is distinct from ({_list('new.{}', _KEPT)})),"
    f" appended as (insert into link_change ({', '.join(_EVENTS)}, change_time, cycle_id)"
    f" select {', '.join(_SPLIT.format(name) if name in LISTS else name for name in _EVENTS)},"
    f" $7, $3 from unnest({_arrays(_EVENTS, _FIRST_EVENT)}) with ordinality"
    f" as event ({', '.join(_EVENTS)}, place), done order by place),"
    " forgotten as (delete from link_change using done where $11 and change_time < $12)"
)


def arguments(known: Iterable[Stored], made: Pass) -> Sequence[object]:
    """Those of COMMIT from $8 on, but the time before which history is forgotten ($12)."""
    stored = list(known)
    return (
        [one.id for one in stored],
        [one.member_signature for one in stored],
        [id for id, _ in made.change.unlinked],
        bool(made.events),
    )


def group_columns(made: Pass) -> Sequence[Sequence[object]]:
    """Every group that stays or comes, in the order of `_GROUPS` and `_FRESH`."""
    written = made.change.kept + made.change.linked
    groups = [[getattr(group, name) for _, group in written] for name in _GROUPS if name != "id"]
    fresh: list[tuple[str, str | None, str | None]] = [
        (id, group.wallet, group.asset) for id, group in made.change.linked
    ]
    fresh += [(id, None, None) for id, _ in made.change.regrouped]
    rows = [(*one, _SEPARATOR.join(made.members[one[0]])) for one in fresh]
    named = [[row[place] for row in rows] for place in range(len(_FRESH))]
    return [[id for id, _ in written], *groups, *named]


def event_columns(events: Sequence[LinkEvent]) -> Sequence[Sequence[object]]:
    """In the order of `_EVENTS`."""
    return [
        [
            _SEPARATOR.join(getattr(event, name)) if name in LISTS else getattr(event, name)
            for event in events
        ]
        for name in _EVENTS
    ]
