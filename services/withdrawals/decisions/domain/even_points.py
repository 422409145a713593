"""Points of equal distance for the gate, which takes each for a step after the one before.

A history by the hour that goes on by the minute is no anomaly; nor are more points than it is
calibrated for better ones.
"""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from services.withdrawals.gate.domain.gate import Micros, Numbers

# What the robust gate is calibrated for.
CALIBRATED_POINTS = 168
# A wider gap is a gap.
_GAP_STEPS = 2


def evenly(time_micros: Micros, values: Numbers, lookback: timedelta) -> tuple[Micros, Numbers]:
    """The series back from its last point, which stays as it is, by steps of a 168th of the
    lookback, or of the median distance of its points where that is wider.

    Between two points nearer than two steps the straight line counts; times ascend.
    """
    span = lookback // timedelta(microseconds=1)
    if len(time_micros) < 3:
        return time_micros, values
    start = int(np.searchsorted(time_micros, time_micros[-1] - span))
    times, kept = time_micros[start:], values[start:]
    known = np.isfinite(kept)
    if not known[-1]:
        return times, kept
    times, kept = times[known], kept[known]
    if len(times) < 3:
        return times, kept
    gaps = np.diff(times)
    step = max(span // CALIBRATED_POINTS, int(np.median(gaps)), 1)
    count = int((times[-1] - times[0]) // step)
    grid = times[-1] - step * np.arange(count, -1, -1)
    after = np.clip(np.searchsorted(times, grid), 1, len(times) - 1)
    is_hit = times[np.searchsorted(times, grid)] == grid
    near = is_hit | (gaps[after - 1] <= _GAP_STEPS * step)
    return grid[near], np.interp(grid[near], times, kept)
