"""One transaction's rows of hedges, their history and the modifiers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import (
    ColumnElement,
    Select,
    Table,
    and_,
    any_,
    exists,
    func,
    literal,
    not_,
    or_,
    select,
)

from services.hedges.domain.grouping import Hedge, Linking, Stored
from services.hedges.domain.history import HistoryFilter, LinkChange, Members, Pass
from services.hedges.domain.modifiers import NAMES, Modifiers
from services.hedges.store.linking import (
    COMMIT,
    LISTS,
    LOCK_WORD,
    arguments,
    event_columns,
    group_columns,
)
from services.hedges.tables import hedge, link_change
from shared import rows
from shared.database import fence
from shared.database.fence import Step
from shared.database.keyset import Ordering, apply
from shared.database.statement import Statement
from shared.database.transaction import Transaction
from shared.paging import PageRequest

SelectT = TypeVar("SelectT", bound=Select[Any])
_HEDGE = [hedge.c[field.name] for field in fields(Hedge)]
_LOCK = Statement(f"select pg_advisory_xact_lock(hashtext('{LOCK_WORD}'))")
_LINKED = Statement("select id, wallet, asset, member_signature from hedge")
_MEMBERS = Statement("select id, position_ids from hedge where id = any(:ids)")
_REVISION = Statement("select coalesce(max(revision), 0) as highest, count(*) as count from hedge")
_NOTE = Statement(
    "update hedge set note = :note, updated_time = :now, revision = nextval('hedge_revision')"
    " where id = :id"
)
_MODIFIERS = Statement(f"select {', '.join(NAMES)} from modifiers")
_SET_MODIFIERS = Statement(
    f'insert into modifiers ("only", {", ".join(NAMES)})'
    f' values (1, {", ".join(f":{name}" for name in NAMES)}) on conflict ("only")'
    f" do update set {', '.join(f'{name} = excluded.{name}' for name in NAMES)}"
)


class Store:
    """The hedges of one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def lock(self) -> None:
        """Take the grouping's lock: two passes at once would give one group two ids, and revisions
        ascend in the order of commits.
        """
        await self._transaction.execute(_LOCK)

    async def linked(self) -> dict[tuple[str, str], Stored]:
        """What is stored by (wallet, asset)."""
        found = await self._transaction.fetch(_LINKED)
        return {(row["wallet"], row["asset"]): rows.read(Stored, row) for row in found}

    async def members(self, ids: Sequence[str]) -> dict[str, Members]:
        """Stored position ids by hedge id."""
        found = await self._transaction.fetch(_MEMBERS, ids=ids)
        return {row["id"]: tuple(row["position_ids"]) for row in found}

    async def commit(
        self,
        step: Step,
        linking: Linking,
        known: Mapping[tuple[str, str], Stored],
        made: Pass,
        now: datetime,
        forget_time: datetime,
    ) -> Linking | None:
        """Write a pass and forget history older than `forget_time`, if what is stored is still
        `known`: returns `linking`, or what the step was answered before; None when it moved, or
        somebody holds the grouping. Raises Conflict STALE_EPOCH.
        """
        done = await fence.attempt(
            self._transaction.driver.fetch,
            COMMIT,
            step,
            linking,
            now,
            *arguments(known.values(), made),
            forget_time,
            *group_columns(made),
            *event_columns(made.events),
        )
        return done.recorded or (linking if done.is_done else None)

    async def history(self, page: PageRequest, wanted: HistoryFilter) -> list[LinkChange]:
        """Changes, newest first, one more than the page holds."""
        query = select(link_change)
        if wanted.asset:
            query = query.where(_of_asset(link_change, wanted.asset))
        for name in ("hedge_id", "wallet", "kind"):
            if value := getattr(wanted, name):
                query = query.where(link_change.c[name] == value)
        if wanted.start_time is not None:
            query = query.where(link_change.c.change_time >= wanted.start_time)
        if wanted.end_time is not None:
            query = query.where(link_change.c.change_time < wanted.end_time)
        query = apply(query, [(link_change.c.id, "desc")], page.after, page.size)
        return [rows.read(LinkChange, row) for row in await self._transaction.fetch(query)]

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
            lists = (link_change.c[name] for name in LISTS)
            query = query.where(or_(*(literal(position_id) == any_(each) for each in lists)))
        return await self._transaction.first(query.limit(1)) is not None

    async def note(self, id: str, note: str, now: datetime) -> None:
        """Write the note of a hedge."""
        await self._transaction.execute(_NOTE, id=id, note=note, now=now)

    async def revision(self) -> tuple[int, int]:
        """Changes with every change of any hedge: the highest revision, and how many there are."""
        (row,) = await self._transaction.fetch(_REVISION)
        return row["highest"], row["count"]

    async def since(self, revision: int, wallet: str, asset: str) -> list[Hedge]:
        """Hedges written after a revision."""
        query = _of(select(*_HEDGE).where(hedge.c.revision > revision), wallet, asset)
        return await self._hedges(query.order_by(hedge.c.wallet, hedge.c.asset))

    async def ids(self, wallet: str, asset: str) -> set[str]:
        """Ids of every hedge."""
        found = await self._transaction.fetch(_of(select(hedge.c.id), wallet, asset))
        return {row["id"] for row in found}

    async def modifiers(self) -> Modifiers:
        """As set, or the defaults."""
        row = await self._transaction.first(_MODIFIERS)
        return Modifiers() if row is None else rows.read(Modifiers, row)

    async def set_modifiers(self, values: Modifiers) -> None:
        """Replace them."""
        await self._transaction.execute(_SET_MODIFIERS, **asdict(values))

    async def get(self, id: str) -> Hedge | None:
        """One hedge."""
        return next(iter(await self._hedges(select(*_HEDGE).where(hedge.c.id == id))), None)

    async def _hedges(self, query: Select[Any]) -> list[Hedge]:
        return [rows.read(Hedge, row) for row in await self._transaction.fetch(query)]

    async def list(
        self, page: PageRequest, wallet: str, asset: str, position_id: str, ordering: Ordering
    ) -> list[Hedge]:
        """Hedges in an order, one more than the page holds."""
        query = _of(select(*_HEDGE), wallet, asset)
        if position_id:
            query = query.where(literal(position_id) == any_(hedge.c.position_ids))
        return await self._hedges(apply(query, ordering, page.after, page.size))


def _of(query: SelectT, wallet: str, asset: str) -> SelectT:
    """Of this wallet and asset; empty = all."""
    if wallet:
        query = query.where(hedge.c.wallet == wallet)
    return query.where(_of_asset(hedge, asset)) if asset else query


def _of_asset(table: Table, asset: str) -> ColumnElement[bool]:
    """Of the very name, else of all that differ from it by case alone."""
    very = table.alias()
    is_known = exists(select(very.c.asset).where(very.c.asset == asset))
    return or_(
        table.c.asset == asset,
        and_(func.upper(table.c.asset) == func.upper(asset), not_(is_known)),
    )
