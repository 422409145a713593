"""Use cases of hedges: read the columns, pair them, write what changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from services.hedges.domain import Change, Group, Hedge, Linking, Reading, pair, relink
from services.hedges.store import Store
from shared import paging
from shared.clock import Clock
from shared.database.fence import Step
from shared.errors import NotFound, Unavailable
from shared.names import new_id
from shared.paging import Page

# Above this many rows the pairing takes longer than 5 ms and leaves the event loop.
_THREAD_ROW_COUNT = 20_000


class Positions(Protocol):
    """Where the columns come from."""

    async def read(self, *, with_ids: bool) -> Reading:
        """ACTIVE and STALE positions; Unavailable POSITIONS_UNAVAILABLE when they cannot be read."""


class HedgesService:
    """Links, unlinks and shows hedges."""

    def __init__(
        self, begin: Callable[[], AbstractAsyncContextManager[Store]], positions: Positions, clock: Clock
    ) -> None:
        self._begin = begin
        self._positions = positions
        self._clock = clock
        # Members were last written at this epoch; None: not known to this process.
        self._epoch: int | None = None

    async def link(self, step: Step) -> Linking:
        """Group what is held now; the same cycle again answers from its record."""
        reading = await self._positions.read(with_ids=False)
        linking = await self._link(step, reading) if reading.membership_epoch == self._epoch else None
        if linking is None:
            # Members changed since they were last written here: now their ids are needed too.
            reading = await self._positions.read(with_ids=True)
            linking = await self._link(step, reading)
        if linking is None:
            raise Unavailable("POSITIONS_UNAVAILABLE", "positions changed while they were read")
        self._epoch = reading.membership_epoch
        return linking

    async def _link(self, step: Step, reading: Reading) -> Linking | None:
        """One pass in one transaction; None when member ids are needed and were not read."""
        if len(reading.holdings) > _THREAD_ROW_COUNT:
            groups = await asyncio.to_thread(pair, reading.holdings)
        else:
            groups = pair(reading.holdings)
        async with self._begin() as store:
            done = await store.enter(step)
            if done is not None:
                return done
            epoch, stored = await store.linked()
            if reading.position_ids is None and epoch != reading.membership_epoch:
                return None
            return await self._write(store, step, reading, relink(stored, groups, new_hedge_id))

    async def _write(self, store: Store, step: Step, reading: Reading, change: Change) -> Linking:
        now = self._clock.now()
        written = change.kept + change.linked
        await store.delete(change.unlinked)
        await store.write(written, now)
        if reading.position_ids is not None:
            await store.write_members(_members(written, reading.position_ids), reading.membership_epoch)
        linking = _linking(change, len(reading.holdings))
        await store.record(step, linking, now)
        return linking

    async def unlink(self) -> int:
        """Remove every hedge."""
        self._epoch = None
        async with self._begin() as store:
            return await store.delete_all()

    async def get(self, id: str) -> Hedge:
        """One hedge; NotFound HEDGE_NOT_FOUND."""
        async with self._begin() as store:
            hedge = await store.get(id)
        if hedge is None:
            raise NotFound("HEDGE_NOT_FOUND", f"no hedge {id!r}")
        return hedge

    async def list(self, page_size: int, page_token: str, wallet: str, asset: str) -> Page[Hedge]:
        """Hedges by wallet and asset."""
        context = paging.context("hedges", wallet, asset)
        page = paging.parse(page_size, page_token, context=context)
        async with self._begin() as store:
            rows = await store.list(page, wallet, asset)
        return paging.cut(rows, page, context, lambda hedge: (hedge.wallet, hedge.asset))


def new_hedge_id() -> str:
    return new_id("hedge")


def _members(
    written: Sequence[tuple[str, Group]], position_ids: Sequence[str]
) -> list[tuple[str, list[str]]]:
    return [(id, sorted(position_ids[row] for row in group.rows.tolist())) for id, group in written]


def _linking(change: Change, position_count: int) -> Linking:
    return Linking(
        linked_count=len(change.linked),
        unlinked_count=len(change.unlinked),
        hedge_count=len(change.kept) + len(change.linked),
        position_count=position_count,
    )
