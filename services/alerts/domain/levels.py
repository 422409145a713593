"""When a level rises, falls or holds: columns in, columns out.

Levels are the numbers of `Level`. A column of limits has shape (n, 3): low, medium, high; NaN is no
limit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.alerts.domain.kinds import Condition, Level

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Numbers = NDArray[np.integer]
Truths = NDArray[np.bool_]

# A falling value must be away from the edge by this share of the edge.
MARGIN_RATIO = 0.05
NOT_FALLING = 0


@dataclass(frozen=True, slots=True)
class ReadingColumns:
    """What is judged now; `new`: observed later than anything judged before."""

    value: Floats
    fresh: Truths
    new: Truths


class Judged(NamedTuple):
    """`falling`: the level the last observation would have let it fall to (0: none). `held`: the
    level would be lower, had the observation not been judged before.
    """

    level: NDArray[np.int8]
    falling: NDArray[np.int8]
    held: Truths


def signs(condition: Numbers) -> Floats:
    """+1 where high is dangerous, -1 where low is: BELOW is ABOVE in the mirror."""
    return np.where(condition == Condition.BELOW, -1.0, 1.0)


def raw_level(value: Floats, limits: Floats, sign: Floats) -> NDArray[np.int8]:
    """The level of a value without memory, inclusive at every edge; NORMAL for NaN."""
    return _highest((value * sign)[:, None] >= limits * sign[:, None])


def floor_level(value: Floats, limits: Floats, sign: Floats) -> NDArray[np.int8]:
    """The highest level whose edge, moved by the margin, the value has not left."""
    signed = (value * sign)[:, None]
    edges = limits * sign[:, None]
    return _highest((signed >= edges) | (signed > edges - MARGIN_RATIO * np.abs(limits)))


def doubt_matters(
    value: Floats, worst: Floats, level: NDArray[np.int8], limits: Floats, sign: Floats
) -> Truths:
    """Whether a value anywhere between these two, `worst` the more dangerous, would be judged
    otherwise than `value` is: it would raise more, or hold what that lets fall.
    """
    raises = raw_level(worst, limits, sign) > np.maximum(raw_level(value, limits, sign), level)
    floors = (np.minimum(floor_level(one, limits, sign), level) for one in (worst, value))
    of_worst, of_value = floors
    return np.asarray(raises | (of_worst > of_value))


def judge_levels(
    level: NDArray[np.int8],
    falling: NDArray[np.int8],
    reading: ReadingColumns,
    limits: Floats,
    sign: Floats,
) -> Judged:
    """The next levels by the present ones and what the last observation would have let them fall
    to.

    Up at once, also on an old value or one judged before. Down only when two different observations
    in a row, both fresh, are away from the edge; each edge needs its two. An observation judged
    before counts for nothing, absent and stale values hold and begin anew.
    """
    known = ~np.isnan(reading.value)
    raw = np.where(known, raw_level(reading.value, limits, sign), Level.NORMAL)
    floor = np.minimum(floor_level(reading.value, limits, sign), level)
    away = known & reading.fresh & (floor < level)
    pending = falling != NOT_FALLING
    fallen = np.minimum(np.maximum(floor, falling), level)
    after = np.where(
        raw > level, raw, np.where(away & reading.new & pending, fallen, level)
    ).astype(np.int8)
    counted = np.where(
        reading.new, floor, np.where(pending, np.maximum(floor, falling), NOT_FALLING)
    )
    memory = np.where(away & (counted < after), counted, NOT_FALLING).astype(np.int8)
    return Judged(after, memory, away & ~reading.new)


def _highest(reached: Truths) -> NDArray[np.int8]:
    return np.where(
        reached[:, 2],
        Level.HIGH,
        np.where(reached[:, 1], Level.MEDIUM, np.where(reached[:, 0], Level.LOW, Level.NORMAL)),
    ).astype(np.int8)


def flips(level: Numbers, limits: Floats, sign: Floats) -> Floats:
    """The value at which a level may fall: its edge moved by the margin; NaN at NORMAL."""
    padded = np.column_stack([np.full(len(limits), np.nan), limits])
    edge: Floats = padded[np.arange(len(limits)), np.clip(level, Level.NORMAL, Level.HIGH) - 1]
    flip: Floats = edge - sign * MARGIN_RATIO * np.abs(edge) + 0.0
    return flip


def next_limit(level: int, limits: tuple[float, float, float]) -> float:
    """The limit above a level that exists; at the top the highest limit; NaN when there is none."""
    above = [limit for limit in limits[max(level - 1, 0) :] if not math.isnan(limit)]
    if above:
        return above[0]
    return next((limit for limit in reversed(limits) if not math.isnan(limit)), math.nan)


def progress_percent(start: float | None, trigger: float, current: float) -> float:
    """The way from start to trigger in percent, clamped to [-100, 100]; an absent start is 0.

    Where start and trigger are one, the share of the trigger itself; 0 for a trigger of 0.
    """
    origin = 0.0 if start is None or start == trigger else start
    if trigger == origin:
        return 0.0
    return max(-100.0, min(100.0, 100.0 * (current - origin) / (trigger - origin))) + 0.0
