"""Looks for extremes beside every sync, and keeps what a day of looks learned."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import nan
from typing import Protocol

import numpy as np

from services.positions.domain.venue_answer import UNKNOWN_ASSET, Flag
from services.positions.enrichment.domain.enriched_frame import EnrichedFrame
from services.positions.enrichment.domain.enrichment import Column, micros
from services.positions.enrichment.domain.metrics import bit
from services.positions.enrichment.service import EnrichmentService
from services.positions.extremes.domain import (
    MINUTE_MICROS,
    Basis,
    MinuteColumns,
    Seen,
    Since,
    Unseen,
    adverse,
    basis,
    first_micros,
    look,
    since,
    unlooked,
    wanted,
)
from shared.clock import Clock
from shared.log import get_logger

# A start waits no longer for the last pass: without a database it goes on.
_START_SECONDS = 5.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class MinuteSource(Protocol):
    """Where minutes of the market come from."""

    async def minutes(self, assets: Sequence[str], start: datetime) -> Mapping[str, MinuteColumns]:
        """Of each asset until now; one that cannot be had says why."""
        ...


@dataclass(frozen=True, slots=True)
class Extremes:
    """Rows as in a frame, sources by its asset_index, and until when was looked."""

    price_usd: Column
    time_micros: Column
    sources: Sequence[str]
    until_micros: int
    unseen: Sequence[Unseen]


class ExtremesService:
    """Knows of this process' looks alone: what was before, the first of them looks at, from the
    time of the last pass on.
    """

    def __init__(self, enrichment: EnrichmentService, source: MinuteSource, clock: Clock) -> None:
        self._enrichment = enrichment
        self._source = source
        self._clock = clock
        self._seen: dict[str, Seen] = {}
        # From when on somebody asked for what was not looked at.
        self._wanted: dict[str, int] = {}
        self._until_micros = 0
        # Where the first look begins; 0 before the last pass is known.
        self._first_micros = 0
        self._compared: EnrichedFrame | None = None
        self._basis: Basis | None = None
        self._looking = asyncio.Lock()

    async def start(self) -> None:
        """Know the last pass before this process makes one: what changes then, and since when
        nobody looked.
        """
        try:
            async with asyncio.timeout(_START_SECONDS):
                frame = await self._enrichment.frame()
        except Exception as error:  # noqa: BLE001  # a start needs no database
            get_logger().warning("the last pass is not known to extremes", problem=repr(error))
            return
        now_micros = micros(self._clock.now())
        self._compare(frame, now_micros)
        self._first_micros = _began(frame, now_micros)

    async def stop(self) -> None:
        """Nothing is held open."""

    async def look(self, prices_usd: Mapping[str, float]) -> None:
        """Look at the assets held from where the last look ended on; one look at a time. Candles
        far from these prices of the market say nothing.
        """
        async with self._looking:
            await self._look(prices_usd)

    async def _look(self, prices_usd: Mapping[str, float]) -> None:
        frame = self._enrichment.shown or await self._enrichment.frame()
        held = np.unique(frame.columns["asset_index"]).tolist() if len(frame) else []
        assets = [name for place in held if (name := frame.asset_names[place]) != UNKNOWN_ASSET]
        now = self._clock.now()
        now_micros = micros(now)
        self._compare(frame, now_micros)
        start_micros = _began(frame, now_micros)
        if not self._until_micros and self._first_micros:
            start_micros = min(start_micros, self._first_micros)
        self._seen = {
            asset: wanted(self._seen.get(asset) or unlooked(start_micros), self._wanted.get(asset))
            for asset in assets
        }
        self._wanted = {}
        if not assets:
            return
        found = await self._minutes(now_micros)
        for asset in assets:
            self._seen[asset] = look(
                asset, self._seen[asset], found[asset], now_micros, prices_usd.get(asset, nan)
            )
        self._until_micros = now_micros
        if failed := {asset: seen.failure for asset, seen in self._seen.items() if seen.failure}:
            get_logger().warning("extremes cannot be looked at", failures=failed)

    async def _minutes(self, now_micros: int) -> Mapping[str, MinuteColumns]:
        """An asset that cannot be looked at makes no other one's stretch longer."""
        by_start: dict[int, list[str]] = {}
        for asset, seen in self._seen.items():
            first = first_micros(seen, now_micros) // MINUTE_MICROS
            by_start.setdefault(first * MINUTE_MICROS, []).append(asset)
        parts = await asyncio.gather(
            *(
                self._source.minutes(assets, _EPOCH + timedelta(microseconds=start))
                for start, assets in by_start.items()
            )
        )
        return {asset: minutes for part in parts for asset, minutes in part.items()}

    def _compare(self, frame: EnrichedFrame, now_micros: int) -> Basis:
        if self._basis is None or frame is not self._compared:
            self._basis = basis(frame.columns, self._basis, _passed(frame, now_micros))
            self._compared = frame
        return self._basis

    def of(self, frame: EnrichedFrame, since_micros: int) -> Extremes:
        """For each row of the frame. A mark far from the market is not judged by the market, a
        position that changed not by what the price did before.
        """
        now_micros = micros(self._clock.now())
        columns = frame.columns
        changed = self._compare(frame, now_micros).since_micros
        found = self._found(frame, np.maximum(changed, since_micros), now_micros)
        price, moment = adverse(columns["side_sign"], columns["asset_index"], changed, found)
        odd = columns["flag_bits"] & bit(Flag.MARK_PRICE_DISAGREES) != 0
        return Extremes(
            np.where(odd, np.nan, price),
            np.where(odd, 0, moment),
            [found[n].source if n in found else "" for n in range(len(frame.asset_names))],
            self._until_micros,
            [one for part in found.values() for one in part.unseen],
        )

    def _found(
        self, frame: EnrichedFrame, since_micros: Column, now_micros: int
    ) -> dict[int, Since]:
        """Of each asset since the first of its rows wants to know. What happened after the last
        pass the next look looks at; what before it nobody looked at is said, and looked at, too.
        """
        places = frame.columns["asset_index"]
        firsts = np.full(len(frame.asset_names), now_micros)
        np.minimum.at(firsts, places, since_micros)
        found = {}
        for place in np.unique(places).tolist():
            asset, first = frame.asset_names[place], int(firsts[place])
            seen = self._seen.get(asset)
            if seen is None and first >= _passed(frame, now_micros):
                seen = unlooked(first)
            found[place] = since(asset, seen, first, now_micros)
            self._wanted[asset] = min(self._wanted.get(asset, first), first)
        return found


def _passed(frame: EnrichedFrame, now_micros: int) -> int:
    if frame.enriched_time is None:
        return now_micros
    return min(micros(frame.enriched_time), now_micros)


def _began(frame: EnrichedFrame, now_micros: int) -> int:
    """An asset that nobody looked at yet is held since the last pass at the latest; the look that
    belongs to a pass was before it.
    """
    return _passed(frame, now_micros) - MINUTE_MICROS
