"""Walks candles as the cycle judges: the mark is the close, the extremes are high and low.

The levels come from the cycle's own functions. A look at which nothing can change (no edge is
reached, none is left, no cooldown ends) is not made: a test holds both ways of walking alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from services.alerts.alerts.domain.alert_columns import JUDGED_BIT, AlertColumns, fresh_columns
from services.alerts.alerts.domain.at_price import distance_percent, travel_percent
from services.alerts.alerts.domain.extremes import Limits, touches
from services.alerts.alerts.domain.incidents import apply_levels, due
from services.alerts.backtest.domain.candles import Candles, Paths
from services.alerts.domain.kinds import AlertType, Condition, Level, kind_of
from services.alerts.domain.levels import (
    ReadingColumns,
    floor_level,
    judge_levels,
    raw_level,
)

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Truths = NDArray[np.bool_]
Levels = NDArray[np.int8]

_MICROS = 1_000_000
# Looks times sets that are held in memory at once.
_MOST_ROWS = 2_500_000
_NEVER = np.iinfo(np.int64).max
# Both types are dangerous below.
_SIGN = -1.0
TYPES = (AlertType.LIQUIDATION_DISTANCE, AlertType.TRAVEL_PERCENT)


@dataclass(frozen=True, slots=True)
class Looks:
    """Every look of every path, one path after the other; `begin` and `end` bound each path.

    A path ends before the candle in which the liquidation price is reached: `liquidated` is its
    number among the candles, -1 for none.
    """

    candle: Integers
    begin: Integers
    end: Integers
    liquidated: Integers
    mark_value: Floats
    extreme_value: Floats
    extreme_usd: Floats


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes of level and late notices, by set of limits and path, then time.

    `candle` is a number among the candles; `price_usd` and `value` what it was judged by: the
    extreme when that raised it, else the close.
    """

    set_number: Integers
    path: Integers
    look: Integers
    candle: Integers
    before: Levels
    after: Levels
    notified: Truths
    price_usd: Floats
    value: Floats

    def pick(self, rows: NDArray[np.int64] | Truths) -> Changes:
        return Changes(*(getattr(self, name)[rows] for name in _CHANGES))


_CHANGES = tuple(Changes.__dataclass_fields__)


def looks_of(candles: Candles, paths: Paths, alert_type: AlertType) -> Looks:
    """What each path sees at each candle, until its liquidation or its last candle."""
    lengths = paths.last - paths.first + 1
    begin = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    path = np.repeat(np.arange(len(paths)), lengths)
    candle = np.arange(int(lengths.sum())) - begin[path] + paths.first[path]
    sign, liquidation = paths.side.sign, paths.liquidation_usd[path]
    close, extreme = candles.close_usd[candle], candles.low_usd[candle]
    if sign < 0:
        extreme = candles.high_usd[candle]
    # The first candle was over when the position began.
    extreme = np.where(candle == paths.first[path], close, extreme)
    reached = np.flatnonzero(sign * (extreme - liquidation) <= 0)
    place = np.searchsorted(reached, begin)
    hit = np.append(reached, _NEVER)[place]
    is_hit = hit < begin + lengths
    end = np.where(is_hit, hit, begin + lengths)
    liquidated = np.where(is_hit, candle[np.where(is_hit, hit, 0)], -1)
    if alert_type is AlertType.TRAVEL_PERCENT:
        entry = paths.entry_usd[path]
        mark_value = travel_percent(close, entry, liquidation)
        extreme_value = travel_percent(extreme, entry, liquidation)
    else:
        mark_value = distance_percent(close, liquidation, sign)
        extreme_value = distance_percent(extreme, liquidation, sign)
    return Looks(candle, begin, end, liquidated, mark_value, extreme_value, extreme)


def walk(
    candles: Candles, looks: Looks, alert_type: AlertType, limits: Floats, *, skipping: bool = True
) -> Changes:
    """The changes of every path under every set of limits (sets, 3), NaN for no limit.

    Without `skipping` every look is made, as the cycle makes them.
    """
    size = max(1, _MOST_ROWS // len(looks.candle))
    parts = []
    for first in range(0, len(limits), size):
        some = limits[first : first + size]
        runs = _Runs(candles, looks, alert_type, some, skipping=skipping)
        while len(runs.going):
            set_number, *rest = runs.step()
            parts.append((set_number + first, *rest))
    columns = [np.concatenate([part[name] for part in parts]) for name in range(len(_CHANGES))]
    order = np.lexsort((columns[2], columns[1], columns[0]))
    return Changes(*(column[order] for column in columns))


class _Runs:
    """One run for each path and set of limits, each at a look of its own; all go on together."""

    def __init__(
        self,
        candles: Candles,
        looks: Looks,
        alert_type: AlertType,
        limits: Floats,
        *,
        skipping: bool,
    ) -> None:
        self._candles, self._looks = candles, looks
        sets, paths = len(limits), len(looks.begin)
        count, self._size = sets * paths, len(looks.candle)
        self.set_number = np.repeat(np.arange(sets), paths)
        self.path = np.tile(np.arange(paths), sets)
        self._limits = limits[self.set_number]
        self._sign = np.full(count, _SIGN)
        self._nearest = np.fmin.reduce(self._limits * _SIGN, axis=1)
        columns = fresh_columns(count)
        columns["alert_key"] = np.arange(count)
        columns["kind"][:] = kind_of(alert_type, Condition.BELOW)
        self._columns = AlertColumns.of([""], columns)
        self._falling = np.zeros(count, np.int8)
        self._at = looks.begin[self.path]
        self._end = looks.end[self.path]
        self._close_usd = candles.close_usd
        self._micros = candles.end_seconds[looks.candle] * _MICROS
        self._of_level = _telling(looks, limits) if skipping else None
        self.going = np.flatnonzero(self._at < self._end)

    def step(self) -> tuple[Integers, *tuple[NDArray[np.generic], ...]]:
        """One look of every run that goes on; columns of what changed."""
        rows = self.going
        at, before = self._at[rows], self._columns.level[rows]
        level, falling, touched = self._judged(rows, at, before)
        now = self._micros[at]
        here = self._columns.pick(rows)
        active = np.ones(len(rows), bool)
        moved = np.flatnonzero((level != before) | due(here, level, active, now))
        applied = apply_levels(self._columns, rows[moved], level[moved], active[moved], now[moved])
        self._columns = applied.columns
        self._falling[rows] = falling
        told = applied.notified
        candle = self._looks.candle[at[moved]]
        is_touched = touched[moved]
        price = np.where(is_touched, self._looks.extreme_usd[at[moved]], self._close_usd[candle])
        value = np.where(
            is_touched, self._looks.extreme_value[at[moved]], self._looks.mark_value[at[moved]]
        )
        changes = (
            self.set_number[rows[moved]],
            self.path[rows[moved]],
            at[moved],
            candle,
            before[moved],
            level[moved],
            told,
            price,
            value,
        )
        self._at[rows] = self._next(rows, at)
        self.going = rows[self._at[rows] < self._end[rows]]
        return changes

    def _judged(
        self, rows: Integers, at: Integers, before: Levels
    ) -> tuple[Levels, Levels, Truths]:
        """By the close, then by the extreme, which only raises; as `evaluation._levels`."""
        limits, sign = self._limits[rows], self._sign[rows]
        new = np.ones(len(rows), bool)
        reading = ReadingColumns(self._looks.mark_value[at], new, new)
        judged = judge_levels(before, self._falling[rows], reading, limits, sign)
        known = at > self._looks.begin[self.path[rows]]
        found = touches(
            np.arange(len(rows)),
            self._looks.extreme_value[at],
            np.maximum(judged.level, before),
            known,
            Limits(new, sign.astype(np.int8), self._nearest[rows], partial(_rows_of, limits)),
        )
        level, falling = found.raised(judged.level, judged.falling)
        touched = np.zeros(len(rows), bool)
        touched[found.rows] = True
        return level, falling & ~np.int8(JUDGED_BIT), touched

    def _next(self, rows: Integers, at: Integers) -> Integers:
        """The next look that can change something; the very next one while a level may fall."""
        after: Integers = at + 1
        if self._of_level is None:
            return after
        flat = self.set_number[rows] * self._size + at
        level = self._columns.level[rows]
        found = np.full(len(rows), _NEVER)
        for one in Level:
            mine = level == one
            if mine.any():
                telling = self._of_level[one]
                place = np.searchsorted(telling, flat[mine], side="right")
                found[mine] = telling[place] - self.set_number[rows][mine] * self._size
        waits = np.flatnonzero(self._columns.kept_level[rows] > 0)
        for place in waits.tolist():
            row = int(rows[place])
            over = self._columns.notified_micros[row] + (
                int(self._columns.cooldown_seconds[row]) * _MICROS
            )
            path = slice(int(after[place]), int(self._end[row]))
            found[place] = min(
                int(found[place]), path.start + int(np.searchsorted(self._micros[path], over))
            )
        next_look: Integers = np.where(self._falling[rows] > 0, after, np.maximum(found, after))
        return next_look


def _rows_of(limits: Floats, rows: Integers) -> Floats:
    return limits[rows]


def _telling(looks: Looks, limits: Floats) -> dict[Level, Integers]:
    """By level: looks, a set of limits after the other, at which a run at it may change."""
    count = len(looks.candle)
    sign = np.full(count, _SIGN)
    found: dict[Level, list[Integers]] = {level: [] for level in Level}
    for number, one in enumerate(limits):
        # A column after the other: rows of three would cost a loop of numpy each.
        of_set = np.asfortranarray(np.broadcast_to(one, (count, 3)))
        # The extreme is never the safer one.
        raised = raw_level(looks.extreme_value, of_set, sign)
        floor = floor_level(looks.mark_value, of_set, sign)
        for level in Level:
            places = np.flatnonzero((raised > int(level)) | (floor < int(level)))
            found[level].append(places + number * count)
    end = np.array([_NEVER // 2])
    return {level: np.concatenate([*parts, end]) for level, parts in found.items()}
