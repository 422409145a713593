"""RunBacktest: what is asked is checked, walked in a thread, and summed up."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from services.alerts.backtest.domain.candles import (
    Candles,
    Paths,
    Side,
    check_work,
    checked,
    held_path,
    started_paths,
)
from services.alerts.backtest.domain.outcomes import Outcomes, TopUp, by_set, knee, outcomes, top_up
from services.alerts.backtest.domain.strip import Strip, strip
from services.alerts.backtest.domain.walk import TYPES, Changes, looks_of, walk
from services.alerts.domain.kinds import AlertType, Condition, kind_of
from services.alerts.service.offload import offload
from services.alerts.service.snapshot_cache import SnapshotCache
from services.alerts.thresholds.domain import Scope, check_limit_values
from shared.errors import NotFound, invalid

Limits = tuple[float | None, float | None, float | None]

DEFAULT_HORIZON_SECONDS = 14 * 24 * 3600
DEFAULT_TOLD_AHEAD_SECONDS = 3600
_MOST_ALERTS = 500
# A look costs about this many rows of arithmetic.
_LOOK_COST = 4


@dataclass(frozen=True, slots=True)
class BacktestRequest:
    """What is asked; None is not said. Prices in USD, spans in seconds."""

    candles: Candles
    asset: str
    side: Side
    distance_percent: float | None
    entry_usd: float | None
    liquidation_usd: float | None
    type: AlertType
    limits: Limits | None
    sweep: Sequence[Limits]
    start_every_seconds: float | None
    horizon_seconds: float | None
    told_ahead_seconds: float | None
    time_zone: str


@dataclass(frozen=True, slots=True)
class LimitsOutcomes:
    """Outcomes under one set of limits."""

    limits: Limits
    outcomes: Outcomes


@dataclass(frozen=True, slots=True)
class Backtested:
    """The answer; `changes` are the first position's, of the first set of limits."""

    candles: Candles
    paths: Paths
    liquidated_candle: int
    type: AlertType
    judged: LimitsOutcomes
    changes: Changes
    change_count: int
    top_up: TopUp | None
    strip: Strip
    curve: Sequence[LimitsOutcomes]
    knee: int | None


class Backtests:
    """Judges the past; changes nothing."""

    def __init__(self, cache: SnapshotCache) -> None:
        self._cache = cache
        # One at a time: the cycle wants the processor, too.
        self._one = asyncio.Lock()

    async def run(self, request: BacktestRequest) -> Backtested:
        """BAD_CANDLES, BAD_HORIZON, LIQUIDATED_AT_START, TOO_MUCH_WORK, LIMITS_OUT_OF_ORDER,
        THRESHOLD_NOT_FOUND, INVALID_FIELD.
        """
        candles = checked(request.candles)
        if request.type not in TYPES:
            known = " or ".join(kind.name for kind in TYPES)
            raise invalid("type", f"{known}: other metrics are no function of the price alone")
        zone = _zone(request.time_zone)
        scope = Scope(request.type, Condition.BELOW, request.asset)
        limits = request.limits or await self._in_force(scope)
        for field, one in (
            ("limits", limits),
            *((f"sweep[{place}]", one) for place, one in enumerate(request.sweep)),
        ):
            check_limit_values(scope, one, field)
        paths = _paths(request, candles)
        check_work(paths, 1 + len(request.sweep))
        work = int((paths.last - paths.first + 1).sum()) * (1 + len(request.sweep)) * _LOOK_COST
        async with self._one:
            return await offload(work, _backtest, request, candles, paths, limits, zone)

    async def _in_force(self, scope: Scope) -> Limits:
        snapshot = await self._cache.present()
        found = snapshot.thresholds.find(kind_of(scope.type, scope.condition), scope.asset)
        if found is None or not found.enabled:
            raise NotFound(
                "THRESHOLD_NOT_FOUND",
                f"no threshold of {scope.type.name} judges {scope.asset or 'every asset'}: say"
                " limits",
            )
        return found.low, found.medium, found.high


def _zone(name: str) -> tzinfo:
    if not name:
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise invalid("time_zone", "a name such as Europe/Berlin") from error


def _paths(request: BacktestRequest, candles: Candles) -> Paths:
    if (request.distance_percent is None) == (request.liquidation_usd is None):
        problem = "either this or liquidation_price_usd, not both"
        raise invalid("liquidation_distance_percent", problem)
    for name, price in (
        ("entry_price_usd", request.entry_usd),
        ("liquidation_price_usd", request.liquidation_usd),
    ):
        if price is not None and price <= 0:
            raise invalid(name, "above 0")
    if request.liquidation_usd is not None:
        if request.start_every_seconds is not None or request.horizon_seconds is not None:
            problem = "a position with known prices has one start and goes on to the last candle"
            raise invalid(
                "start_every" if request.start_every_seconds is not None else "horizon", problem
            )
        entry = float(candles.close_usd[0]) if request.entry_usd is None else request.entry_usd
        return held_path(candles, request.side, entry, request.liquidation_usd)
    return _started(request, candles)


def _started(request: BacktestRequest, candles: Candles) -> Paths:
    distance = request.distance_percent
    if distance is None or not 0 < distance < 100:
        raise invalid("liquidation_distance_percent", "above 0 and below 100")
    if request.entry_usd is not None:
        raise invalid("entry_price_usd", "of a position with a liquidation_price_usd")
    cadence = candles.cadence_seconds
    whole = int(candles.end_seconds[-1] - candles.end_seconds[0])
    every, horizon = request.start_every_seconds, request.horizon_seconds
    if every is not None and every < cadence:
        raise invalid("start_every", f"at least the length of a candle, {cadence} s")
    if horizon is not None and horizon < cadence:
        raise invalid("horizon", f"at least the length of a candle, {cadence} s")
    if every is None:
        # One start: it is followed to the end, or as long as it is asked for.
        every = whole + 1
        horizon = whole if horizon is None else horizon
    elif horizon is None:
        horizon = DEFAULT_HORIZON_SECONDS
    return started_paths(candles, request.side, distance, int(every), int(horizon))


def _backtest(
    request: BacktestRequest, candles: Candles, paths: Paths, limits: Limits, zone: tzinfo
) -> Backtested:
    sets: list[Limits] = [limits, *request.sweep]
    numbers = np.array([[math.nan if one is None else one for one in each] for each in sets])
    looks = looks_of(candles, paths, request.type)
    ahead = request.told_ahead_seconds
    ahead = DEFAULT_TOLD_AHEAD_SECONDS if ahead is None else ahead
    parts = by_set(walk(candles, looks, request.type, numbers), len(sets))
    judged = [
        LimitsOutcomes(each, outcomes(candles, paths, looks, changes, ahead, zone))
        for each, changes in zip(sets, parts, strict=True)
    ]
    mine = np.flatnonzero(parts[0].path == 0)
    return Backtested(
        candles=candles,
        paths=paths,
        liquidated_candle=int(looks.liquidated[0]),
        type=request.type,
        judged=judged[0],
        changes=parts[0].pick(mine[:_MOST_ALERTS]),
        change_count=len(mine),
        top_up=top_up(paths, looks, parts[0], 0, candles),
        strip=strip(candles, int(paths.first[0]), int(paths.last[0])),
        curve=judged[1:],
        knee=knee([one.outcomes for one in judged[1:]]),
    )
