"""Linking: read the columns, pair them, write what changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

import numpy as np

from services.hedges.domain.grouping import (
    Change,
    Group,
    Grouping,
    Linking,
    Stored,
    grouped,
    members,
    pair,
    relink,
    unsettled,
)
from services.hedges.domain.history import written
from services.hedges.domain.holdings import Holdings
from services.hedges.service.ports import Begin, Positions
from services.hedges.store.hedges import Store
from shared import allocator
from shared.clock import Clock
from shared.database.fence import Step
from shared.names import new_id

# Above this many rows the pairing takes longer than 5 ms and leaves the event loop.
_THREAD_ROW_COUNT = 20_000
_MORE_TRIES = 4


class LinkingService:
    """Links and unlinks."""

    def __init__(
        self,
        begin: Begin,
        read: Begin,
        positions: Positions,
        clock: Clock,
        history_kept: timedelta,
        changed: Callable[[], None],
    ) -> None:
        """`changed` is called after every write."""
        self._begin = begin
        self._read = read
        self._positions = positions
        self._clock = clock
        self._history_kept = history_kept
        self._changed = changed
        # As the last pass of this process left it; it may be old.
        self._linked: Mapping[tuple[str, str], Stored] | None = None
        # Of the last pass; a quiet one has the same.
        self._grouping: Grouping | None = None
        self._named_many = False

    async def link(self, step: Step) -> Linking:
        """Group what is held now; the same cycle again answers from its record."""
        holdings = await self._positions.read()
        if len(holdings) > _THREAD_ROW_COUNT:
            groups = await asyncio.to_thread(self._pair, holdings)
        else:
            groups = self._pair(holdings)
        return await self._write(step, holdings, groups)

    def _pair(self, holdings: Holdings) -> list[Group]:
        if self._grouping is None or not self._grouping.fits(holdings):
            self._grouping = grouped(holdings)
        return pair(holdings, self._grouping)

    async def unlink(self) -> int:
        """Remove every hedge."""
        return (await self._write(Step("UNLINK_HEDGES"), None, ())).unlinked_count

    async def _write(
        self, step: Step, holdings: Holdings | None, groups: Sequence[Group]
    ) -> Linking:
        """By what this process knows; where that has moved, by what is stored. `holdings` None:
        unlinked by hand.
        """
        known = self._linked
        for is_again in (False, *[True] * _MORE_TRIES):
            if known is None:
                async with self._read() as store:
                    known = await store.linked()
            change = relink(known, groups, new_hedge_id)
            after = await self._members(holdings, change)
            change = unsettled(change, after)
            async with self._begin() if is_again else self._read() as store:
                if is_again:
                    await store.lock()
                linking = await self._attempt(store, step, known, change, holdings, after)
            if linking is not None:
                self._changed()
                return linking
            known = None
        raise RuntimeError("hedges moved each time they were to be written")

    async def _members(
        self, holdings: Holdings | None, change: Change
    ) -> Mapping[str, tuple[str, ...]]:
        """Of groups that came or have other members."""
        touched = change.linked + change.regrouped
        if holdings is None or not touched:
            # What the texts of many took is not needed again soon.
            if self._named_many:
                await asyncio.to_thread(allocator.give_back)
            self._named_many = False
            return {}
        rows = np.concatenate([group.rows for _, group in touched])
        self._named_many = len(rows) > _THREAD_ROW_COUNT
        ids = await self._positions.ids(holdings.position_key[rows].tolist())
        return members(touched, holdings, ids)

    async def _attempt(
        self,
        store: Store,
        step: Step,
        known: Mapping[tuple[str, str], Stored],
        change: Change,
        holdings: Holdings | None,
        after: Mapping[str, tuple[str, ...]],
    ) -> Linking | None:
        """Write in one statement what was decided by what is known; None when that has moved."""
        now = self._clock.now()
        # Read before anything is written: what joined and left is the difference.
        touched = [id for id, _ in change.unlinked + change.regrouped]
        before = await store.members(touched) if touched else {}
        if before.keys() != set(touched):
            return None
        made = written(change, holdings, before, after)
        linking = _linking(change, 0 if holdings is None else len(holdings))
        done = await store.commit(step, linking, known, made, now, now - self._history_kept)
        if done is linking:
            self._linked = {
                (group.wallet, group.asset): Stored(id, group.member_signature)
                for id, group in change.kept + change.linked
            }
        return done


def new_hedge_id() -> str:
    return new_id("hedge")


def _linking(change: Change, position_count: int) -> Linking:
    return Linking(
        linked_count=len(change.linked),
        unlinked_count=len(change.unlinked),
        hedge_count=len(change.kept) + len(change.linked),
        position_count=position_count,
    )
