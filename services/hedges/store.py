"""Rows of hedges in and out; the only SQL of this service."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.hedges.domain import Group, Hedge, Linking
from services.hedges.tables import grouping, hedge
from shared.database import fence
from shared.database.fence import Step
from shared.database.keyset import apply
from shared.paging import PageRequest

_NUMBERS = [name.name for name in fields(Group) if name.name.endswith(("_usd", "_heat", "_ratio", "_tokens"))]
_TEXTS = ["id", "wallet", "asset"]

_NAMES = [*_TEXTS, *_NUMBERS]


def _list(pattern: str, names: Sequence[str]) -> str:
    return ", ".join(pattern.format(name) for name in names)


# One statement whatever the number of groups; a group whose figures did not change is not written again.
_UPSERT = text(
    f"insert into hedge as old ({_list('{}', _NAMES)}, position_ids, created_time, updated_time)"
    f" select {_list('new.{}', _NAMES)}, '{{}}', :now, :now"
    f" from unnest({_list('cast(:{} as text[])', _TEXTS)}, {_list('cast(:{} as float8[])', _NUMBERS)})"
    f" as new ({_list('{}', _NAMES)})"
    f" on conflict (wallet, asset) do update set updated_time = excluded.updated_time,"
    f" {_list('{0} = excluded.{0}', _NUMBERS)}"
    f" where ({_list('old.{}', _NUMBERS)}) is distinct from ({_list('excluded.{}', _NUMBERS)})"
)
_MEMBERS = text(
    "update hedge set position_ids = string_to_array(new.members, E'\\x1f')"
    " from unnest(cast(:ids as text[]), cast(:members as text[])) as new (id, members)"
    " where hedge.id = new.id and hedge.position_ids <> string_to_array(new.members, E'\\x1f')"
)
_EPOCH = text(
    'insert into grouping ("only", membership_epoch) values (1, :epoch)'
    ' on conflict ("only") do update set membership_epoch = excluded.membership_epoch'
)


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

    async def linked(self) -> tuple[int | None, dict[tuple[str, str], str]]:
        """The membership epoch of the last grouping (None before the first), and ids by (wallet, asset).

        Takes the grouping's lock: two passes at once would give one group two ids.
        """
        await self._connection.exec_driver_sql("select pg_advisory_xact_lock(hashtext('hedges grouping'))")
        epoch = (await self._connection.execute(select(grouping.c.membership_epoch))).scalar()
        rows = await self._connection.execute(select(hedge.c.id, hedge.c.wallet, hedge.c.asset))
        return epoch, {(row.wallet, row.asset): row.id for row in rows}

    async def write(self, groups: Sequence[tuple[str, Group]], now: datetime) -> None:
        """Insert or update the figures of groups under their ids."""
        if not groups:
            return
        columns: dict[str, Any] = {name: [getattr(group, name) for _, group in groups] for name in _NUMBERS}
        columns |= {
            "id": [id for id, _ in groups],
            "wallet": [group.wallet for _, group in groups],
            "asset": [group.asset for _, group in groups],
            "now": now,
        }
        await self._connection.execute(_UPSERT, columns)

    async def write_members(self, members: Sequence[tuple[str, Sequence[str]]], epoch: int) -> None:
        """Replace the members of hedges, and remember the epoch they were read at."""
        if members:
            joined = ["\x1f".join(position_ids) for _, position_ids in members]
            await self._connection.execute(_MEMBERS, {"ids": [id for id, _ in members], "members": joined})
        await self._connection.execute(_EPOCH, {"epoch": epoch})

    async def delete(self, ids: Sequence[str]) -> None:
        """Remove hedges that no longer qualify."""
        if ids:
            await self._connection.execute(delete(hedge).where(hedge.c.id.in_(ids)))

    async def delete_all(self) -> int:
        """Remove every hedge and forget the grouping; returns how many there were."""
        await self._connection.execute(delete(grouping))
        return (await self._connection.execute(delete(hedge))).rowcount

    async def get(self, id: str) -> Hedge | None:
        """One hedge."""
        row = (await self._connection.execute(select(hedge).where(hedge.c.id == id))).one_or_none()
        return None if row is None else _hedge(row)

    async def list(self, page: PageRequest, wallet: str, asset: str) -> list[Hedge]:
        """Hedges by wallet and asset, one more than the page holds."""
        query = select(hedge)
        if wallet:
            query = query.where(hedge.c.wallet == wallet)
        if asset:
            query = query.where(hedge.c.asset == asset)
        query = apply(query, [(hedge.c.wallet, "asc"), (hedge.c.asset, "asc")], page.after, page.size)
        return [_hedge(row) for row in await self._connection.execute(query)]


def _hedge(row: Row[Any]) -> Hedge:
    values = row._asdict()
    return Hedge(**{**values, "position_ids": tuple(values["position_ids"])})
