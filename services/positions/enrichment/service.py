"""The pass: every position's risk in one transaction; and its last result in memory for readers."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from services.positions.domain.venue_answer import Status
from services.positions.enrichment.domain.enriched_frame import EnrichedFrame, compose
from services.positions.enrichment.domain.enrichment import (
    Columns,
    EnrichContext,
    Enriched,
    Feed,
    MarketPrice,
    enrich,
    held_marks,
    merged,
    micros,
    places_of,
)
from services.positions.enrichment.domain.frozen_marks import NO_MARKS
from services.positions.enrichment.domain.heat import HeatModifiers
from services.positions.enrichment.domain.totals import Totals, aged
from services.positions.service.ports import Begin, Market
from services.positions.store import Store
from services.positions.store.enrichment import InputChanges, ServiceState
from shared import allocator
from shared.clock import Clock
from shared.database.fence import Step

# Above this many rows the arithmetic takes longer than 5 ms and leaves the event loop.
_THREAD_ROW_COUNT = 10_000
# Longer ago, and a slow venue lay between sync and enrichment: then prices are read anew.
_SAME_MARKET_SECONDS = 1.0
_VERSION_BITS = 62


@dataclass(frozen=True, slots=True)
class Enrichment:
    """Answer of EnrichPositions."""

    enriched_count: int
    absent_count: int
    reasons: Mapping[str, int]
    totals: Totals
    membership_epoch: int
    absent: tuple[str, ...] = ()


class EnrichmentService:
    """Runs passes and keeps the last frame. A frame is installed only after its commit."""

    def __init__(
        self,
        begin: Begin,
        read: Begin,
        at_one_moment: Begin,
        market: Market,
        clock: Clock,
        mark_max_age_seconds: float,
    ) -> None:
        self._begin = begin
        self._read = read
        self._at_one_moment = at_one_moment
        self._market = market
        self._clock = clock
        self._mark_max_age_seconds = mark_max_age_seconds
        self._frame: EnrichedFrame | None = None
        # The highest number of a pass shown: none comes twice, whatever the database forgets.
        self._newest_number = 0
        self._last_market: tuple[str, float, Mapping[str, MarketPrice]] = ("", 0.0, {})
        self._wake: Callable[[], None] = lambda: None
        # Whether the prices of the last pass are known here, which may be one of another process.
        self._is_remembered = False
        # Whether the last pass had more changes than are listed.
        self._was_bulk = False

    async def enrich(self, step: Step) -> Enrichment:
        """EnrichPositions: the same cycle again answers from its record. Raises STALE_EPOCH."""
        market = await self.market(step.cycle_id)
        async with self._begin() as store:
            known = await store.enter(step, Enrichment)
            if known is not None:
                return known
            enrichment, frame = await self.run(store, market, durable=False)
            await store.record(step, Enrichment, enrichment, self._clock.now())
        self.install(frame)
        return enrichment

    async def market(self, cycle_id: str = "") -> Mapping[str, MarketPrice]:
        """Market prices, to be read before a transaction that ends with `run`. Steps of one cycle
        that follow each other at once see the same ones.
        """
        now_seconds = self._clock.monotonic()
        known_cycle_id, read_seconds, market = self._last_market
        if (
            cycle_id
            and cycle_id == known_cycle_id
            and now_seconds - read_seconds < _SAME_MARKET_SECONDS
        ):
            return market
        if not self._is_remembered:
            async with self._read() as store:
                self._market.remember(await store.enrichment.market())
            self._is_remembered = True
        market = await self._market.read()
        if market:
            self._last_market = (cycle_id, now_seconds, market)
        return market

    async def run(
        self, store: Store, market: Mapping[str, MarketPrice], *, durable: bool = True
    ) -> tuple[Enrichment, EnrichedFrame]:
        """One pass in the given transaction. The caller installs the frame after its commit."""
        state = await store.enrichment.lock(durable=durable)
        # Before the changes: a position may be newer than the time of its feed, never older.
        feeds, assets = await store.enrichment.names()
        changes = await store.enrichment.take_changes()
        inputs, version = await self._inputs(store, state, changes), state.inputs_version
        if changes or not version:
            version = secrets.randbits(_VERSION_BITS)
        now = self._clock.now()
        market = {name: market[name] for name in assets.values() if name in market}
        context = self._context(state, feeds, assets, market, now)
        if state.frozen and len(held := held_marks(inputs, context)) < len(state.frozen):
            # A mark that no position is by any more is nobody's: who looks for them may be off.
            await store.enrichment.set_frozen(held)
            context = replace(context, frozen=held or NO_MARKS)
        number = max(state.pass_number, self._newest_number) + 1
        state = replace(state, pass_number=number, inputs_version=version, enriched_time=now)
        enriched, frame = await _judged(inputs, context, state)
        await store.enrichment.close(state, market, frame.totals)
        await self._give_back(is_bulk=changes.position_keys is None)
        return (
            Enrichment(
                enriched.enriched_count,
                enriched.absent_count,
                enriched.reasons,
                frame.totals,
                state.membership_epoch,
                enriched.absent,
            ),
            frame,
        )

    def _context(
        self,
        state: ServiceState,
        feeds: Mapping[int, Feed],
        assets: Mapping[int, str],
        market: Mapping[str, MarketPrice],
        now: datetime,
    ) -> EnrichContext:
        age = self._mark_max_age_seconds
        return EnrichContext(feeds, assets, market, now, age, state.heat, state.frozen)

    async def _give_back(self, *, is_bulk: bool) -> None:
        """The pass that follows an import, and is none, gives back what that took."""
        if self._was_bulk and not is_bulk:
            await asyncio.to_thread(allocator.give_back)
        self._was_bulk = is_bulk

    async def _inputs(self, store: Store, state: ServiceState, changes: InputChanges) -> Columns:
        """Inputs as they are stored: those of the last frame where nothing wrote them since."""
        known, keys = self._frame, changes.position_keys
        if not self._is_present(state) or known is None or keys is None:
            return await store.enrichment.inputs()
        if not changes:
            return known.inputs
        return merged(known.inputs, keys, await store.enrichment.inputs(keys))

    def _is_present(self, state: ServiceState) -> bool:
        version = state.inputs_version
        return self._frame is not None and version != 0 and self._frame.inputs_version == version

    async def counts(self, store: Store) -> tuple[int, int]:
        """ACTIVE and STALE positions: counted in memory, but those that were written since."""
        state, changes = await store.enrichment.changes()
        known, keys = self._frame, changes.position_keys
        if not self._is_present(state) or known is None or keys is None:
            return await store.sync_rows.counts()
        status = known.inputs["status"]
        if changes:
            left = status[places_of(known.inputs["position_key"], keys) < 0]
            status = np.append(left, (await store.enrichment.inputs(keys))["status"])
        active_count = int(np.count_nonzero(status == Status.ACTIVE))
        return active_count, len(status) - active_count

    @asynccontextmanager
    async def changing(
        self, market: Mapping[str, MarketPrice] | None = None
    ) -> AsyncIterator[Store]:
        """A transaction that ends with a pass, so that figures and totals are right at once.
        `market`: as it was read before, if it was.
        """
        if market is None:
            market = await self.market()
        async with self._begin() as store:
            yield store
            _, frame = await self.run(store, market)
        self.install(frame)

    def install(self, frame: EnrichedFrame) -> None:
        """Show this frame to readers unless a later one is shown already."""
        if self._frame is None or frame.pass_number > self._frame.pass_number:
            self._frame = frame
            self._newest_number = max(self._newest_number, frame.pass_number)
            self._wake()

    def on_frame(self, wake: Callable[[], None]) -> None:
        """Call this after every new frame."""
        self._wake = wake

    async def heat(self) -> HeatModifiers:
        """How heat is weighed."""
        async with self._read() as store:
            return (await store.enrichment.service_state()).heat

    @property
    def shown(self) -> EnrichedFrame | None:
        """The last pass that this process knows; it may be old."""
        return self._frame

    async def frame(self, pass_number: int | None = None) -> EnrichedFrame:
        """The last pass, or a later one than `pass_number` when the caller has just read that."""
        if pass_number is None:
            shown = self._frame
            async with self._read() as store:
                state = await store.enrichment.service_state()
            pass_number = state.pass_number
            if shown is self._frame and _is_forgotten(shown, state):
                self._frame = None
        if self._frame is not None and self._frame.pass_number >= pass_number:
            return self._frame
        async with self._at_one_moment() as store:
            state, changes = await store.enrichment.changes()
            feeds, assets = await store.enrichment.names()
            inputs = await self._inputs(store, state, changes)
            stored, known = await store.enrichment.market(), await store.enrichment.totals()
        market = self._market.with_moves(stored)
        now = state.enriched_time or self._clock.now()
        context = self._context(state, feeds, assets, market, now)
        if changes:
            state = replace(state, inputs_version=0)
        _, loaded = await _judged(inputs, context, state, known)
        self.install(loaded)
        return loaded

    def nearest(self) -> tuple[int, float | None]:
        """Number of the pass that is held here, 0 for none, and the smallest known distance to
        liquidation in it, in percent; nothing is read for it.
        """
        if (frame := self._frame) is None:
            return 0, None
        distances = np.asarray(frame.columns["liquidation_distance_percent"], np.float64)
        known = distances[~np.isnan(distances)]
        return frame.pass_number, float(known.min()) if len(known) else None

    async def totals(self) -> Totals:
        """Of the last pass, as old as they are now."""
        return self.aged(await self.frame())

    def aged(self, frame: EnrichedFrame) -> Totals:
        """The totals of a frame, as old as they are now."""
        return aged(frame.totals, self._clock.now(), timedelta(seconds=self._mark_max_age_seconds))

    def is_stale_by_rows_alone(self, frame: EnrichedFrame) -> bool:
        """Whether its totals are stale, by now, only because rows of it were when it was made."""
        if not self.aged(frame).stale or frame.is_unread:
            return False
        sure = frame.columns["mark_time_micros"][~frame.columns["stale"]]
        limit = micros(self._clock.now()) - int(self._mark_max_age_seconds * 1e6)
        return bool(len(sure)) and int(sure.min()) >= limit

    async def position_ids(self, position_keys: Sequence[int]) -> list[str]:
        """Text ids of the rows of a frame; empty for one that was deleted since."""
        async with self._read() as store:
            ids = await store.enrichment.position_ids(position_keys)
        return [ids.get(key, "") for key in position_keys]


def _is_forgotten(shown: EnrichedFrame | None, later: ServiceState) -> bool:
    """Whether the database lost this pass since: in a crash, its commit is not durable, or by a
    backup that was restored.
    """
    if shown is None or shown.pass_number < later.pass_number:
        return False
    return (shown.pass_number, shown.enriched_time) != (later.pass_number, later.enriched_time)


async def _judged(
    inputs: Columns,
    context: EnrichContext,
    state: ServiceState,
    known_totals: Totals | None = None,
) -> tuple[Enriched, EnrichedFrame]:
    """The pass of this state: its figures follow from the inputs and what it saw beside them.
    `known_totals`: as they were stored; None = to be summed.
    """

    def judge() -> tuple[Enriched, EnrichedFrame]:
        enriched = enrich(inputs, context)
        frame = compose(
            inputs,
            enriched.results,
            context.feeds,
            context.assets,
            pass_number=state.pass_number,
            membership_epoch=state.membership_epoch,
            event_sequence=state.event_sequence,
            enriched_time=state.enriched_time,
            inputs_version=state.inputs_version,
            known_totals=known_totals,
            models={name: one.moves.model for name, one in context.market.items()},
            frozen_marks=context.frozen,
        )
        return enriched, frame

    is_long = len(inputs["position_key"]) > _THREAD_ROW_COUNT
    return await asyncio.to_thread(judge) if is_long else judge()
