"""Looks for extremes beside every sync, and keeps what a day of looks learned."""

import asyncio
from collections import deque
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
    Look,
    MinuteColumns,
    Seen,
    Since,
    Unseen,
    adverse,
    basis,
    first_micros,
    look,
    since,
)
from shared.clock import Clock
from shared.log import get_logger

# A look a minute for a day.
_MOST_LOOKS = 1440
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
        self._looks: dict[str, deque[Look]] = {}
        self._until_micros = 0
        self._compared: EnrichedFrame | None = None
        self._basis: Basis | None = None
        self._looking = asyncio.Lock()

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
        self._seen = {
            asset: self._seen.get(asset) or Seen(_began(frame, now_micros)) for asset in assets
        }
        # Looks of a clock that was ahead would be later than every moment for a while.
        self._looks = {
            asset: deque(
                (one for one in self._looks.get(asset, ()) if one.until_micros <= now_micros),
                maxlen=_MOST_LOOKS,
            )
            for asset in assets
        }
        if not assets:
            return
        found = await self._minutes(now_micros)
        for asset in assets:
            self._seen[asset], learned = look(
                asset, self._seen[asset], found[asset], now_micros, prices_usd.get(asset, nan)
            )
            if learned is not None:
                self._looks[asset].append(learned)
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
            self._basis = basis(frame.columns, self._basis, now_micros)
            self._compared = frame
        return self._basis

    def of(self, frame: EnrichedFrame, since_micros: int) -> Extremes:
        """For each row of the frame. A mark far from the market is not judged by the market, a
        position that changed not by what the price did before.
        """
        now_micros = micros(self._clock.now())
        columns = frame.columns
        found = self._found(columns["asset_index"], frame, since_micros, now_micros)
        price, moment = adverse(columns["side_sign"], columns["asset_index"], found)
        changed = self._compare(frame, now_micros).since_micros
        for later_micros in np.unique(changed[changed > since_micros]).tolist():
            rows = changed == later_micros
            side, asset = columns["side_sign"][rows], columns["asset_index"][rows]
            later = self._found(asset, frame, later_micros, now_micros)
            price[rows], moment[rows] = adverse(side, asset, later)
        odd = columns["flag_bits"] & bit(Flag.MARK_PRICE_DISAGREES) != 0
        return Extremes(
            np.where(odd, np.nan, price),
            np.where(odd, 0, moment),
            [found[n].source if n in found else "" for n in range(len(frame.asset_names))],
            self._until_micros,
            [one for part in found.values() for one in part.unseen],
        )

    def _found(
        self, asset_index: Column, frame: EnrichedFrame, since_micros: int, now_micros: int
    ) -> dict[int, Since]:
        found = {}
        for place in np.unique(asset_index).tolist():
            asset = frame.asset_names[place]
            looks, seen = self._looks.get(asset, ()), self._seen.get(asset)
            found[place] = since(asset, tuple(looks), seen, since_micros, now_micros)
        return found


def _began(frame: EnrichedFrame, now_micros: int) -> int:
    """An asset that nobody looked at yet is held since the last pass at the latest."""
    if frame.enriched_time is None:
        return now_micros
    return min(micros(frame.enriched_time), now_micros)
