"""What came of walked paths: leads, alarms, false alarms, nights, and where the curve bends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

import numpy as np
from numpy.typing import NDArray

from services.alerts.alerts.domain.at_price import distance_percent
from services.alerts.backtest.domain.candles import Candles, Paths
from services.alerts.backtest.domain.walk import Changes, Looks
from services.alerts.domain.kinds import Level

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

TOLD_LEVELS = (Level.LOW, Level.MEDIUM, Level.HIGH)
# An alarm was false when the price came no nearer than half its distance before it recovered.
_FALSE_RATIO = 0.5
_WEEK_SECONDS = 7 * 24 * 3600
# A night is from this hour, local time, until this hour of the next day.
NIGHT_BEGINS, NIGHT_ENDS = 22, 7
# An hour's span within which a zone keeps its offset.
_HOUR_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Lead:
    """Seconds from the first notice of a level, or a higher one, to the liquidation.

    Over liquidated paths, 0 where nobody was told before; None when none was liquidated.
    """

    level: Level
    told_count: int
    p10_seconds: float | None
    median_seconds: float | None
    p90_seconds: float | None


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Of all paths under one set of limits. Alarms are notices of HIGH."""

    position_count: int
    liquidated_count: int
    alarmed_count: int
    alarmed_liquidated_count: int
    told_ahead_count: int
    alarm_count: int
    false_alarm_count: int
    alarms_per_week: float
    night_count: int
    nights_per_week: float
    leads: Sequence[Lead]

    @property
    def high_lead(self) -> Lead:
        return self.leads[-1]


@dataclass(frozen=True, slots=True)
class TopUp:
    """The best moment to add collateral: the notice that began the last incident before the
    liquidation; what was told before it was over again.

    `worst_usd` is the worst price from then to the end of the path: a liquidation price beyond it
    lives on.
    """

    look: int
    candle: int
    price_usd: float
    distance_percent: float
    worst_usd: float


def outcomes(
    candles: Candles,
    paths: Paths,
    looks: Looks,
    changes: Changes,
    told_ahead_seconds: float,
    zone: tzinfo,
) -> Outcomes:
    """Of the changes of one set of limits. `told_ahead_count`: liquidations of which HIGH was told
    at least so long before.
    """
    ends = candles.end_seconds
    is_gone = looks.liquidated >= 0
    gone_seconds = ends[looks.liquidated]
    alarm = changes.notified & (changes.after == Level.HIGH)
    alarmed = np.zeros(len(paths), bool)
    alarmed[changes.path[alarm]] = True
    leads, high = [], np.zeros(len(paths))
    for level in TOLD_LEVELS:
        lead = _lead_seconds(changes, level, ends, gone_seconds)
        leads.append(_lead(level, lead[is_gone]))
        high = lead
    told_ahead = is_gone & alarmed & (np.nan_to_num(high) >= told_ahead_seconds)
    last_seconds = np.where(is_gone, gone_seconds, ends[paths.last])
    weeks = float((last_seconds - ends[paths.first]).sum()) / _WEEK_SECONDS
    nights = _night_count(changes.path[alarm], ends[changes.candle[alarm]], zone)
    alarms = int(np.count_nonzero(alarm))
    return Outcomes(
        position_count=len(paths),
        liquidated_count=int(is_gone.sum()),
        alarmed_count=int(alarmed.sum()),
        alarmed_liquidated_count=int((alarmed & is_gone).sum()),
        told_ahead_count=int(told_ahead.sum()),
        alarm_count=alarms,
        false_alarm_count=_false_alarm_count(paths, looks, changes),
        alarms_per_week=alarms / weeks if weeks else 0.0,
        night_count=nights,
        nights_per_week=nights / weeks if weeks else 0.0,
        leads=leads,
    )


def _lead_seconds(changes: Changes, level: Level, ends: Integers, gone_seconds: Integers) -> Floats:
    """Of each path; NaN where nobody was told. Changes are in order of path and time."""
    lead = np.full(len(gone_seconds), np.nan)
    told = np.flatnonzero(changes.notified & (changes.after >= level))
    path, first = np.unique(changes.path[told], return_index=True)
    lead[path] = gone_seconds[path] - ends[changes.candle[told[first]]]
    return lead


def _lead(level: Level, seconds: Floats) -> Lead:
    told = int(np.count_nonzero(~np.isnan(seconds)))
    if not len(seconds):
        return Lead(level, told, None, None, None)
    p10, median, p90 = np.percentile(np.nan_to_num(seconds), [10, 50, 90]).tolist()
    return Lead(level, told, p10, median, p90)


def _false_alarm_count(paths: Paths, looks: Looks, changes: Changes) -> int:
    """Rises to HIGH that fell again before the price came as near as half the alarm's distance."""
    rises = np.flatnonzero((changes.after == Level.HIGH) & (changes.before < Level.HIGH))
    falls = rises + 1
    # The next change that leaves HIGH; a late notice at HIGH stands between.
    while len(stay := np.flatnonzero(_is_late_notice(changes, rises, falls))):
        falls[stay] += 1
    ended = falls < len(changes.path)
    rises, falls = rises[ended], falls[ended]
    same = (changes.path[falls] == changes.path[rises]) & (changes.after[falls] < Level.HIGH)
    rises, falls = rises[same], falls[same]
    if not len(rises):
        return 0
    sign, path = paths.side.sign, changes.path[rises]
    liquidation = paths.liquidation_usd[path]
    bounds = np.column_stack([changes.look[rises], changes.look[falls]]).ravel()
    nearest = (np.minimum if sign > 0 else np.maximum).reduceat(looks.extreme_usd, bounds)[::2]
    begun = distance_percent(changes.price_usd[rises], liquidation, sign)
    least = distance_percent(nearest, liquidation, sign)
    return int(np.count_nonzero(least > _FALSE_RATIO * begun))


def _is_late_notice(changes: Changes, rises: Integers, falls: Integers) -> NDArray[np.bool_]:
    inside = np.minimum(falls, len(changes.path) - 1)
    late: NDArray[np.bool_] = (
        (falls < len(changes.path))
        & (changes.path[inside] == changes.path[rises])
        & (changes.after[inside] == Level.HIGH)
    )
    return late


def _night_count(path: Integers, seconds: Integers, zone: tzinfo) -> int:
    """Different nights of paths in which these moments lie."""
    hours, place = np.unique(seconds // _HOUR_SECONDS, return_inverse=True)
    offsets = np.array([_offset_seconds(hour * _HOUR_SECONDS, zone) for hour in hours.tolist()])
    if not len(hours):
        return 0
    local = seconds + offsets[place]
    hour = local // _HOUR_SECONDS % 24
    at_night = (hour >= NIGHT_BEGINS) | (hour < NIGHT_ENDS)
    # The night is named by the day it ends on.
    night = (local + (24 - NIGHT_BEGINS) * _HOUR_SECONDS) // (24 * _HOUR_SECONDS)
    pairs = np.column_stack([path[at_night], night[at_night]])
    return len(np.unique(pairs, axis=0))


def _offset_seconds(seconds: int, zone: tzinfo) -> int:
    offset = datetime.fromtimestamp(seconds, zone).utcoffset() or timedelta()
    return int(offset.total_seconds())


def top_up(
    paths: Paths, looks: Looks, changes: Changes, path: int, candles: Candles
) -> TopUp | None:
    """Of a path that was liquidated after a notice; None of every other."""
    mine = np.flatnonzero(changes.path == path)
    if looks.liquidated[path] < 0 or not len(mine) or changes.after[mine[-1]] == Level.NORMAL:
        return None
    begins = mine[changes.before[mine] == Level.NORMAL]
    chosen = int(begins[-1])
    sign = paths.side.sign
    prices = candles.low_usd if sign > 0 else candles.high_usd
    lived = prices[changes.candle[chosen] : int(paths.last[path]) + 1]
    price = float(changes.price_usd[chosen])
    liquidation = float(paths.liquidation_usd[path])
    return TopUp(
        int(changes.look[chosen]),
        int(changes.candle[chosen]),
        price,
        100.0 * sign * (price - liquidation) / price,
        float(lived.min() if sign > 0 else lived.max()),
    )


def knee(points: Sequence[Outcomes]) -> int | None:
    """The point from which more alarms a week buy least further lead: the one farthest above the
    line from the fewest alarms to the most, both axes as shares of their range.

    None of fewer than three points, without liquidations, or when all are alike. Method: Satopaa
    et al., "Finding a Kneedle in a Haystack", 2011, for one pass without smoothing.
    """
    alarms = np.array([point.alarms_per_week for point in points])
    leads = np.array([point.high_lead.median_seconds or 0.0 for point in points])
    if len(points) < 3 or not np.ptp(alarms) or not np.ptp(leads):
        return None
    above = (leads - leads.min()) / np.ptp(leads) - (alarms - alarms.min()) / np.ptp(alarms)
    best = np.flatnonzero(above >= above.max() - 1e-12)
    return int(best[np.argmin(alarms[best])])


def by_set(changes: Changes, set_count: int) -> Sequence[Changes]:
    """The changes of each set of limits."""
    bounds = np.searchsorted(changes.set_number, np.arange(set_count + 1)).tolist()
    return [changes.pick(np.arange(bounds[n], bounds[n + 1])) for n in range(set_count)]
