"""One transaction's rows of hedges, their history and the modifiers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Row, Select, any_, delete, func, literal, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.hedges.domain.grouping import Group, Hedge, Linking, Stored
from services.hedges.domain.history import (
    Cause,
    HistoryFilter,
    Kind,
    LinkChange,
    LinkEvent,
    Members,
)
from services.hedges.domain.modifiers import NAMES, Modifiers
from services.hedges.tables import hedge, link_change, modifiers
from shared.database import fence
from shared.database.fence import Step
from shared.database.keyset import Ordering, apply
from shared.paging import PageRequest

SelectT = TypeVar("SelectT", bound=Select[Any])
_HEDGE = [hedge.c[name.name] for name in fields(Hedge)]
FIGURES = [
    name.name
    for name in fields(Group)
    if name.name.endswith(("_usd", "_heat", "_ratio", "_tokens"))
]
_TEXTS = ["id", "wallet", "asset"]

_NAMES = [*_TEXTS, *FIGURES]


def _list(pattern: str, names: Sequence[str]) -> str:
    return ", ".join(pattern.format(name) for name in names)


# One statement whatever the number of groups; a group whose figures did not change is not written
# again.
_UPSERT = text(
    f"insert into hedge as old ({_list('{}', _NAMES)}, position_ids, created_time, updated_time,"
    " revision)"
    f" select {_list('new.{}', _NAMES)}, '{{}}', :now, :now, nextval('hedge_revision')"
    f" from unnest({_list('cast(:{} as text[])', _TEXTS)},"
    f" {_list('cast(:{} as float8[])', FIGURES)})"
    f" as new ({_list('{}', _NAMES)})"
    f" on conflict (wallet, asset) do update set updated_time = excluded.updated_time,"
    f" revision = excluded.revision,"
    f" {_list('{0} = excluded.{0}', FIGURES)}"
    f" where ({_list('old.{}', FIGURES)}) is distinct from ({_list('excluded.{}', FIGURES)})"
)
# Ids hold no unit separator: it joins a list into one text, as arrays of arrays cannot be unnested.
_SEPARATOR = "\x1f"
_MEMBERS = text(
    "update hedge set position_ids = string_to_array(new.members, E'\\x1f'),"
    " member_signature = new.signature, updated_time = :now, revision = nextval('hedge_revision')"
    " from unnest(cast(:ids as text[]), cast(:members as text[]), cast(:signatures as int8[]))"
    " as new (id, members, signature) where hedge.id = new.id"
)
_EVENT_TEXTS = ("hedge_id", "wallet", "asset")
_EVENT_NUMBERS = ("kind", "reason")
_EVENT_LISTS = ("position_ids", "joined_position_ids", "left_position_ids")
_EVENT_NAMES = (*_EVENT_TEXTS, *_EVENT_LISTS, *_EVENT_NUMBERS)
_APPEND = text(
    f"insert into link_change ({_list('{}', _EVENT_NAMES)}, change_time, cycle_id)"
    f" select {_list('new.{}', _EVENT_TEXTS)},"
    f" {_list('string_to_array(new.{}, chr(31))', _EVENT_LISTS)},"
    f" {_list('new.{}', _EVENT_NUMBERS)}, :now, :cycle_id"
    f" from unnest({_list('cast(:{} as text[])', [*_EVENT_TEXTS, *_EVENT_LISTS])},"
    f" {_list('cast(:{} as int2[])', _EVENT_NUMBERS)})"
    f" with ordinality as new ({_list('{}', _EVENT_NAMES)}, place) order by place"
)
LOCK_WORD = "hedges grouping"
_LOCK = f"select pg_advisory_xact_lock(hashtext('{LOCK_WORD}'))"
# Figures are told again by the next pass: losing the last of them in a crash costs nothing.
_LOCK_LAZILY = f"{_LOCK}, set_config('synchronous_commit', 'off', true)"


class Store:
    """The hedges of one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def enter(self, step: Step) -> Linking | None:
        """See shared.database.fence.enter."""
        return await fence.enter(self._connection, step, Linking)

    async def record(self, step: Step, answer: Linking, now: datetime) -> None:
        """See shared.database.fence.record."""
        await fence.record(self._connection, step, Linking, answer, now)

    async def lock(self, *, lazily: bool = False) -> None:
        """Take the grouping's lock: two passes at once would give one group two ids, and revisions
        ascend in the order of commits. Lazily: the commit does not wait for the disk unless history
        is appended.
        """
        await self._connection.exec_driver_sql(_LOCK_LAZILY if lazily else _LOCK)

    async def linked(self) -> dict[tuple[str, str], Stored]:
        """What is stored by (wallet, asset)."""
        rows = await self._connection.execute(
            select(hedge.c.id, hedge.c.wallet, hedge.c.asset, hedge.c.member_signature)
        )
        return {(row.wallet, row.asset): Stored(row.id, row.member_signature) for row in rows}

    async def members(self, ids: Sequence[str]) -> dict[str, Members]:
        """Stored position ids by hedge id."""
        query = select(hedge.c.id, hedge.c.position_ids).where(hedge.c.id.in_(ids))
        return {row.id: tuple(row.position_ids) for row in await self._connection.execute(query)}

    async def write(self, groups: Sequence[tuple[str, Group]], now: datetime) -> None:
        """Insert or update the figures of groups under their ids."""
        if not groups:
            return
        columns: dict[str, Any] = {
            name: [getattr(group, name) for _, group in groups] for name in FIGURES
        }
        columns |= {
            "id": [id for id, _ in groups],
            "wallet": [group.wallet for _, group in groups],
            "asset": [group.asset for _, group in groups],
            "now": now,
        }
        await self._connection.execute(_UPSERT, columns)

    async def write_members(
        self, groups: Sequence[tuple[str, Group]], position_ids: dict[str, Members], now: datetime
    ) -> None:
        """Replace the members of hedges."""
        if groups:
            columns = {
                "ids": [id for id, _ in groups],
                "members": [_SEPARATOR.join(position_ids[id]) for id, _ in groups],
                "signatures": [group.member_signature for _, group in groups],
                "now": now,
            }
            await self._connection.execute(_MEMBERS, columns)

    async def append(
        self, events: Sequence[LinkEvent], cycle_id: str, now: datetime, forget_time: datetime
    ) -> None:
        """Add to the history, forget what is older than `forget_time`; makes the transaction
        durable.
        """
        if not events:
            return
        columns: dict[str, Any] = {
            name: [getattr(event, name) for event in events]
            for name in (*_EVENT_TEXTS, *_EVENT_NUMBERS)
        }
        columns |= {
            name: [_SEPARATOR.join(getattr(event, name)) for event in events]
            for name in _EVENT_LISTS
        }
        await self._connection.execute(_APPEND, {**columns, "now": now, "cycle_id": cycle_id})
        await self._connection.execute(
            delete(link_change).where(link_change.c.change_time < forget_time)
        )
        await self._connection.exec_driver_sql("set local synchronous_commit to default")

    async def history(self, page: PageRequest, wanted: HistoryFilter) -> list[LinkChange]:
        """Changes, newest first, one more than the page holds."""
        query = select(link_change)
        for name in ("hedge_id", "wallet", "asset", "kind"):
            if value := getattr(wanted, name):
                query = query.where(link_change.c[name] == value)
        if wanted.start_time is not None:
            query = query.where(link_change.c.change_time >= wanted.start_time)
        if wanted.end_time is not None:
            query = query.where(link_change.c.change_time < wanted.end_time)
        query = apply(query, [(link_change.c.id, "desc")], page.after, page.size)
        return [_change(row) for row in await self._connection.execute(query)]

    async def remembers(
        self, *, hedge_id: str = "", wallet: str = "", position_id: str = ""
    ) -> bool:
        """Whether the history names this one."""
        query = select(link_change.c.id)
        if hedge_id:
            query = query.where(link_change.c.hedge_id == hedge_id)
        if wallet:
            query = query.where(link_change.c.wallet == wallet)
        if position_id:
            lists = (link_change.c[name] for name in _EVENT_LISTS)
            query = query.where(or_(*(literal(position_id) == any_(each) for each in lists)))
        return await self._connection.scalar(query.limit(1)) is not None

    async def delete(self, ids: Sequence[str]) -> None:
        """Remove hedges that no longer qualify."""
        if ids:
            await self._connection.execute(delete(hedge).where(hedge.c.id.in_(ids)))

    async def delete_all(self) -> list[Hedge]:
        """Remove every hedge; returns what they were."""
        return [
            _hedge(row) for row in await self._connection.execute(delete(hedge).returning(*_HEDGE))
        ]

    async def note(self, id: str, note: str, now: datetime) -> None:
        """Write the note of a hedge."""
        values = {"note": note, "updated_time": now, "revision": func.nextval("hedge_revision")}
        await self._connection.execute(update(hedge).where(hedge.c.id == id).values(values))

    async def revision(self) -> tuple[int, int]:
        """Changes with every change of any hedge: the highest revision, and how many there are."""
        query = select(func.coalesce(func.max(hedge.c.revision), 0), func.count())
        highest, count = (await self._connection.execute(query)).one()
        return highest, count

    async def since(self, revision: int, wallet: str, asset: str) -> list[Hedge]:
        """Hedges written after a revision."""
        query = _of(select(*_HEDGE).where(hedge.c.revision > revision), wallet, asset)
        rows = await self._connection.execute(query.order_by(hedge.c.wallet, hedge.c.asset))
        return [_hedge(row) for row in rows]

    async def ids(self, wallet: str, asset: str) -> set[str]:
        """Ids of every hedge."""
        return set(
            (await self._connection.execute(_of(select(hedge.c.id), wallet, asset))).scalars()
        )

    async def modifiers(self) -> Modifiers:
        """As set, or the defaults."""
        row = (
            await self._connection.execute(select(*(modifiers.c[name] for name in NAMES)))
        ).one_or_none()
        return Modifiers() if row is None else Modifiers(**row._asdict())

    async def set_modifiers(self, values: Modifiers) -> None:
        """Replace them."""
        columns = {name: getattr(values, name) for name in NAMES}
        query = insert(modifiers).values(only=1, **columns)
        await self._connection.execute(
            query.on_conflict_do_update(index_elements=["only"], set_=columns)
        )

    async def get(self, id: str) -> Hedge | None:
        """One hedge."""
        row = (
            await self._connection.execute(select(*_HEDGE).where(hedge.c.id == id))
        ).one_or_none()
        return None if row is None else _hedge(row)

    async def list(
        self, page: PageRequest, wallet: str, asset: str, position_id: str, ordering: Ordering
    ) -> list[Hedge]:
        """Hedges in an order, one more than the page holds."""
        query = _of(select(*_HEDGE), wallet, asset)
        if position_id:
            query = query.where(literal(position_id) == any_(hedge.c.position_ids))
        query = apply(query, ordering, page.after, page.size)
        return [_hedge(row) for row in await self._connection.execute(query)]


def _of(query: SelectT, wallet: str, asset: str) -> SelectT:
    """Of this wallet and asset; empty = all."""
    if wallet:
        query = query.where(hedge.c.wallet == wallet)
    return query.where(hedge.c.asset == asset) if asset else query


def _hedge(row: Row[Any]) -> Hedge:
    values = row._asdict()
    return Hedge(**{**values, "position_ids": tuple(values["position_ids"])})


def _change(row: Row[Any]) -> LinkChange:
    event = LinkEvent(
        row.hedge_id,
        row.wallet,
        row.asset,
        Kind(row.kind),
        Cause(row.reason),
        *(tuple(getattr(row, name)) for name in _EVENT_LISTS),
    )
    return LinkChange(row.id, row.change_time, row.cycle_id, event)
