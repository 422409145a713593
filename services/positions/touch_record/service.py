"""States once an hour what the touch probability says, scores it when its horizon is over, and
tells how good it has been.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

import numpy as np

from services.positions.enrichment.domain.enriched_frame import EnrichedFrame
from services.positions.enrichment.service import EnrichmentService
from services.positions.extremes.domain import MinuteColumns
from services.positions.service.ports import Begin
from services.positions.touch_record.domain.history import TouchProbability, probabilities
from services.positions.touch_record.domain.scores import Bin, Scores, bin_of, scores
from services.positions.touch_record.domain.statements import (
    GIVEN_UP,
    HORIZON,
    AssetStatements,
    Outcome,
    StatementState,
    outcome,
    stated,
    stretch,
)
from shared import paging
from shared.clock import Clock
from shared.errors import NotFound
from shared.paging import Page
from shared.texts import spelled

_REST_SECONDS: Final = 30.0
_HOUR_SECONDS: Final = 3600
# Until then the last candle of a horizon may not be there.
_LATE: Final = timedelta(minutes=2)
_MOST_DUE: Final = 200
_MOST_PRESENT: Final = 10
# Records that are kept in memory: of all assets, and of some that people look at.
_MOST_KNOWN: Final = 8


class MarketMinutes(Protocol):
    """What the market did, as the price service has it."""

    @property
    def present_market(self) -> int:
        """The market of the present prices; 0: not known yet."""
        ...

    async def minutes(
        self, assets: Sequence[str], start: datetime, end: datetime | None = None
    ) -> Mapping[str, MinuteColumns]:
        """Of each asset; one that cannot be had says why."""
        ...


@dataclass(frozen=True, slots=True)
class AssetRecord:
    """Of one asset, or of all (empty): the scores, and how many statements have none."""

    scores: Scores
    waiting_count: int
    unscored_count: int
    unscored_reasons: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class PresentStatement:
    """What is said of a position now; `such`: the scored statements of its bin, of all assets."""

    position_id: str
    asset: str
    side_sign: int
    probability: float
    until_time: datetime
    such: Bin


@dataclass(frozen=True, slots=True)
class TouchRecord:
    """The record since then; all assets together first. `market`: 0 while nothing is recorded."""

    market: int
    since_time: datetime
    assets: Sequence[AssetRecord]
    present: Sequence[PresentStatement]


class TouchRecordService:
    """One statement an asset and hour of the present market, however many processes run."""

    def __init__(
        self,
        begin: Begin,
        read: Begin,
        enrichment: EnrichmentService,
        market: MarketMinutes,
        clock: Clock,
    ) -> None:
        self._begin = begin
        self._read = read
        self._enrichment = enrichment
        self._market = market
        self._clock = clock
        self._stated_hour = 0
        self._scored_hour = 0
        self._one = asyncio.Lock()
        # By what was asked for; with the version of the statements it was made of.
        self._known: dict[
            tuple[int, datetime, str], tuple[tuple[int, int, int], Sequence[AssetRecord]]
        ] = {}

    async def keep(self) -> float:
        """State and score what this hour asks for; seconds to rest."""
        now, market = self._clock.now(), self._market.present_market
        if market:
            frame = self._enrichment.shown
            if frame is not None and self._stated_hour < _hour(frame.enriched_time) == _hour(now):
                await self._state(frame, market)
                self._stated_hour = _hour(now)
            if self._scored_hour != _hour(now):
                await self._score(market, now)
                self._scored_hour = _hour(now)
        return _REST_SECONDS

    async def _state(self, frame: EnrichedFrame, market: int) -> None:
        moment = frame.enriched_time
        assert moment is not None  # noqa: S101  # its hour was compared
        async with self._begin() as store:
            prices = await store.enrichment.market()
            sigmas = {
                asset: price.hourly_volatility_ratio
                for asset, price in prices.items()
                if price.hourly_volatility_ratio is not None
            }
            names, models = frame.asset_names, frame.asset_models
            await store.touches.put(stated(frame.columns, names, models, sigmas, market, moment))
            await store.touches.keep(probabilities(frame.columns, names, models, market, moment))

    async def _score(self, market: int, now: datetime) -> None:
        """All whose horizon is over, in portions."""
        last: AssetStatements | None = None
        while True:
            async with self._read() as store:
                due = await store.touches.due(market, now - _LATE, _MOST_DUE, last)
            await self._score_some(due, market, now)
            if len(due) < _MOST_DUE:
                return
            last = due[-1]

    async def _score_some(self, due: Sequence[AssetStatements], market: int, now: datetime) -> None:
        found: list[tuple[AssetStatements, Outcome]] = []
        for start, end in sorted({stretch(one) for one in due}):
            ending = [one for one in due if stretch(one) == (start, end)]
            minutes = await self._market.minutes([one.asset for one in ending], start, end)
            for one in ending:
                of = minutes[one.asset]
                found.append(
                    (one, outcome(one, of.minute, of.high_usd, of.low_usd, of.failure, now))
                )
        async with self._begin() as store:
            await store.touches.give_up(market, now - GIVEN_UP)
            for one, came in found:
                if came.state is not StatementState.WAITING:
                    await store.touches.settle(one, came)

    async def record(self, days: float, asset: str) -> TouchRecord:
        """What is kept of this many days, from a whole hour on, of one asset, or (empty) of all.
        Worked out again only when something of it is another, and once for all who ask.
        """
        since = _whole_hour(self._clock.now() - timedelta(days=days))
        held = (await self._enrichment.frame()).asset_names
        async with self._one:
            async with self._read() as store:
                market = self._market.present_market or await store.touches.newest_market() or 0
                if asset:
                    stated = await store.touches.in_any_case(market, since, asset)
                    names = spelled(asset, stated | set(held))
                    asset = names[0] if len(names) == 1 else asset
                asked = (market, since, asset)
                version = await store.touches.version(*asked)
                known = self._known.pop(asked, None)
                is_known = known is not None and known[0] == version
                kept = () if is_known else await store.touches.read(*asked)
            if known is None or not is_known:
                known = version, await asyncio.to_thread(_records, kept)
            # The last one asked for is the last one to be forgotten.
            self._known[asked] = known
            while len(self._known) > _MOST_KNOWN:
                self._known.pop(next(iter(self._known)))
        assets = known[1]
        return TouchRecord(market, since, assets, await self._present(assets[0].scores, asset))

    async def history(
        self, position_id: str, page_size: int, page_token: str
    ) -> Page[TouchProbability]:
        """What was said of a position, by the hour, newest first. Raises POSITION_NOT_FOUND,
        BAD_PAGE_TOKEN, PAGE_TOKEN_MISMATCH.
        """
        context = paging.context("touch history", position_id)
        request = paging.parse(page_size, page_token, context=context)
        async with self._read() as store:
            found = await store.positions.find(position_id)
            if found is None:
                raise NotFound("POSITION_NOT_FOUND", f"no position has id {position_id[:60]!r}")
            market = self._market.present_market or await store.touches.newest_market() or 0
            one = found.inputs
            said = await store.touches.history(market, one.asset, one.position_key, request)
        return paging.cut(said, request, context, lambda point: (point.hour,))

    async def _present(self, known: Scores, asset: str) -> Sequence[PresentStatement]:
        frame = await self._enrichment.frame()
        columns, moment = frame.columns, frame.enriched_time
        if moment is None or not len(frame):
            return []
        chance = columns["liquidation_probability"]
        said = (chance < 1) & ~columns["stale"].astype(bool)
        if asset:
            said &= np.array([name == asset for name in frame.asset_names])[columns["asset_index"]]
        rows = np.flatnonzero(said)
        rows = rows[np.argsort(-chance[rows], kind="stable")][:_MOST_PRESENT]
        ids = await self._enrichment.position_ids(columns["position_key"][rows].tolist())
        return [
            PresentStatement(
                id,
                frame.asset_names[columns["asset_index"][row]],
                int(columns["side_sign"][row]),
                float(chance[row]),
                moment + HORIZON,
                known.bins[bin_of(float(chance[row]))],
            )
            for id, row in zip(ids, rows.tolist(), strict=True)
        ]


def _records(kept: Sequence[AssetStatements]) -> list[AssetRecord]:
    names = sorted({one.asset for one in kept})
    return [
        _record("", kept),
        *(_record(name, [one for one in kept if one.asset == name]) for name in names),
    ]


def _record(asset: str, kept: Sequence[AssetStatements]) -> AssetRecord:
    counts = Counter[StatementState]()
    reasons = Counter[str]()
    for one in kept:
        counts[one.state] += len(one)
        if one.state is StatementState.UNSCORED:
            reasons[one.reason] += len(one)
    made = scores(asset, [one for one in kept if one.state is StatementState.SCORED])
    return AssetRecord(
        made, counts[StatementState.WAITING], counts[StatementState.UNSCORED], reasons
    )


def _whole_hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def _hour(moment: datetime | None) -> int:
    return int(moment.timestamp()) // _HOUR_SECONDS if moment else 0
