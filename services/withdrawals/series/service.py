"""Series read, off the event loop: a view, its bins, its distribution, its trend, its flows."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from services.withdrawals.assets.domain.settings import Asset, AssetSettings
from services.withdrawals.assets.service.assets import AssetsService
from services.withdrawals.decisions.domain.even_points import evenly
from services.withdrawals.decisions.service.judging import gate_settings, of_wallets
from services.withdrawals.gains.domain.corrected_gain import GainSeries
from services.withdrawals.gains.domain.evaluation import GainRules, evaluate_gains
from services.withdrawals.gains.domain.exact import exact_micros
from services.withdrawals.gains.domain.references import (
    ReferenceEvent,
    ReferenceMode,
    ReferenceRules,
)
from services.withdrawals.gains.domain.samples import Floats, Micros
from services.withdrawals.gains.domain.total_series import total_series
from services.withdrawals.series.domain import (
    Histogram,
    KernelDensity,
    SeriesBins,
    SupplyColumns,
    Trend,
    View,
    ViewSeries,
    aggregate,
    histogram,
    kernel_density,
    trend,
    view_series,
)
from services.withdrawals.supply.domain.rows import SCALE, FlowRow
from services.withdrawals.supply.service.loading import Loaded, SupplyRows
from shared.clock import Clock
from shared.errors import invalid

TOTAL = "total"
MOST_POINTS = 20_000
MOST_BINS = 20_000
_POINTS_PER_BIN = 10
_RATES = frozenset({View.RATE_USD, View.RATE_ADA})
# Drawn from the first sample on, whatever the reference.
_FROM_THE_START = frozenset({View.POSITION, *_RATES})


@dataclass(frozen=True, slots=True)
class SeriesRequest:
    """What is to be drawn; None: from the first sample, until now, no bins."""

    asset: str
    view: View
    start_time: datetime | None
    end_time: datetime | None
    bin: timedelta | None
    wallet: str
    points_per_bin: int


@dataclass(frozen=True, slots=True, eq=False)
class DrawnSeries:
    """A view within its range; more than 20,000 points are thinned evenly."""

    request: SeriesRequest
    points: ViewSeries
    bins: SeriesBins | None
    histogram: Histogram | None
    density: KernelDensity | None
    trend: Trend | None
    flows: Sequence[FlowRow]


class SeriesService:
    """Reads only."""

    def __init__(self, assets: AssetsService, supply: SupplyRows, clock: Clock) -> None:
        self._assets = assets
        self._supply = supply
        self._clock = clock

    async def get(self, request: SeriesRequest) -> DrawnSeries:
        """ASSET_NOT_FOUND, INVALID_FIELD."""
        end = request.end_time or self._clock.now()
        if request.start_time is not None and request.start_time >= end:
            raise invalid("start_time", "before end_time")
        if request.bin is not None and request.bin < timedelta(seconds=1):
            raise invalid("bin", "a second or more")
        if request.asset == TOTAL:
            if request.view in _RATES:
                raise invalid("view", "a rate is of one asset")
            assets = await self._assets.watched()
        else:
            assets = [await self._assets.named(request.asset)]
        loaded = [await self._supply.load(asset, end) for asset in assets]
        empty = (np.empty(0, np.int64), np.empty(0))
        is_ada = request.view is View.RATE_ADA
        ada = await self._supply.ada_prices(assets[0], end) if is_ada else empty
        return await asyncio.to_thread(_drawn, request, assets, loaded, ada, end)


def _drawn(
    request: SeriesRequest,
    assets: Sequence[Asset],
    loaded: Sequence[Loaded],
    ada: tuple[Micros, Floats],
    end: datetime,
) -> DrawnSeries:
    series: list[GainSeries] = []
    for asset, rows in zip(assets, loaded, strict=True):
        series += _gains(asset.settings, rows, request, end)
    columns = _columns(series, assets, ada)
    settings = assets[0].settings if assets else AssetSettings("none")
    if request.view is View.RESIDUAL:
        columns = _even(columns, settings.gate.lookback)
    view = view_series(request.view, columns, gate_settings(settings))
    kept = _within(view, request, end)
    bins = None
    if request.bin is not None and len(kept.values):
        bins = aggregate(kept.time_micros, kept.values, request.bin)
        if len(bins.start_micros) > MOST_BINS:
            raise invalid("bin", f"at most {MOST_BINS} bins")
    is_residual = request.view is View.RESIDUAL
    flows = [row for rows in loaded for row in rows.flows if _is_wanted(row, request, end)]
    return DrawnSeries(
        request,
        _thinned(kept),
        bins,
        histogram(kept.values, request.points_per_bin or _POINTS_PER_BIN) if is_residual else None,
        kernel_density(kept.values) if is_residual else None,
        trend(kept.time_micros, kept.values),
        flows,
    )


def _gains(
    settings: AssetSettings, loaded: Loaded, request: SeriesRequest, end: datetime
) -> Sequence[GainSeries]:
    wallets = (request.wallet,) if request.wallet else settings.wallets
    columns = of_wallets(loaded.samples, wallets)
    flows = [row.flow for row in loaded.flows if not wallets or row.wallet in wallets]
    events: list[ReferenceEvent] = []
    rules = ReferenceRules(ReferenceMode.DATA_RANGE)
    if request.view not in _FROM_THE_START:
        # Without a reference there is still something to draw: since the first sample.
        rules = ReferenceRules(
            ReferenceMode.DATA_RANGE, settings.reference_keyword, settings.range_start_time
        )
        events = [
            ReferenceEvent(row.reference_time, row.wallet or None) for row in loaded.references
        ]
    gain_rules = GainRules(SCALE, rules, settings.flow_lag, settings.sample_age_limit)
    return evaluate_gains(columns, flows, events, gain_rules, end).series


def _columns(
    series: Sequence[GainSeries], assets: Sequence[Asset], ada: tuple[Micros, Floats]
) -> SupplyColumns:
    age = max((one.settings.sample_age_limit for one in assets), default=timedelta(hours=3))
    total = total_series(series, age)
    ada_usd = np.full(len(total), np.nan)
    times, prices = ada
    if len(times):
        place = np.minimum(np.searchsorted(times, total.time_micros), len(times) - 1)
        same = times[place] == total.time_micros
        ada_usd[same] = prices[place[same]]
    scale = 10.0**SCALE.decimals
    base = float(sum(int(one.units[0]) for one in series)) / scale if series else np.nan
    return SupplyColumns(
        total.time_micros,
        total.units / scale,
        total.gain_units / scale,
        total.price_usd,
        ada_usd,
        base,
    )


def _even(columns: SupplyColumns, lookback: timedelta) -> SupplyColumns:
    """Only its corrected position, at the points that the gate looks at."""
    times, corrected = evenly(columns.time_micros, columns.corrected_units, lookback)
    unknown = np.full(len(times), np.nan)
    gains = corrected - columns.base_units
    return SupplyColumns(times, unknown, gains, unknown, unknown, columns.base_units)


def _within(view: ViewSeries, request: SeriesRequest, end: datetime) -> ViewSeries:
    kept = view.time_micros < exact_micros(end)
    if request.end_time is None:
        kept |= view.time_micros == exact_micros(end)
    if request.start_time is not None:
        kept &= view.time_micros >= exact_micros(request.start_time)
    return ViewSeries(view.time_micros[kept], view.values[kept], view.gate)


def _thinned(view: ViewSeries) -> ViewSeries:
    """Evenly, the last point among them."""
    count = len(view.values)
    if count <= MOST_POINTS:
        return view
    rows = np.linspace(0, count - 1, MOST_POINTS).astype(np.int64)
    return ViewSeries(view.time_micros[rows], view.values[rows], view.gate)


def _is_wanted(row: FlowRow, request: SeriesRequest, end: datetime) -> bool:
    is_late_enough = request.start_time is None or row.flow_time >= request.start_time
    is_mine = not request.wallet or row.wallet == request.wallet
    return is_late_enough and is_mine and row.flow_time <= end
