"""Points of equal distance for the gate."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from services.withdrawals.decisions.domain.even_points import CALIBRATED_POINTS, evenly
from services.withdrawals.gate.domain.gate import GateSettings, GateSide, judge

_HOUR = 3_600_000_000
_WEEK = timedelta(hours=168)
_NOON = 1_795_000_000_000_000


def test_points_by_the_hour_stay_as_they_are() -> None:
    times = _NOON + _HOUR * np.arange(100)
    values = np.sin(np.arange(100.0))
    even, kept = evenly(times, values, _WEEK)
    assert np.array_equal(even, times)
    assert np.allclose(kept, values)


def test_points_by_the_minute_become_as_many_as_the_gate_is_calibrated_for() -> None:
    times = _NOON + 60_000_000 * np.arange(30_000)
    even, values = evenly(times, np.arange(30_000.0), _WEEK)
    assert len(even) == CALIBRATED_POINTS + 1
    assert even[-1] == times[-1]
    assert set(np.diff(even)) == {_HOUR}
    assert np.allclose(np.diff(values), 60)


def test_a_wide_gap_is_not_filled() -> None:
    times = _NOON + _HOUR * np.r_[np.arange(50), 60 + np.arange(50)]
    even, _ = evenly(times, np.zeros(100), _WEEK)
    assert not [time for time in even if times[49] < time < times[50]]


def test_a_history_by_the_hour_that_goes_on_by_the_minute_is_no_anomaly() -> None:
    chance = np.random.default_rng(7)
    times = np.r_[_HOUR * np.arange(168), 167 * _HOUR + 60_000_000 * np.arange(1, 4)] + _NOON
    growth = 0.1 * (times - _NOON) / _HOUR
    values = 10_000 + growth + chance.normal(0, 0.002, len(times))
    assert judge(*evenly(times, values, _WEEK), GateSettings()).side is GateSide.INSIDE
    # Taken for steps of an hour they are one.
    assert judge(times, values, GateSettings()).side is not GateSide.INSIDE


def test_what_is_not_known_is_left_out_and_a_last_point_that_is_not_stays() -> None:
    times = _NOON + _HOUR * np.arange(10)
    values = np.arange(10.0)
    values[4] = np.nan
    even, kept = evenly(times, values, _WEEK)
    assert np.isfinite(kept).all()
    assert len(even) == 10  # Between its neighbours, two steps apart, the straight line counts.
    values[-1] = np.nan
    assert np.isnan(evenly(times, values, _WEEK)[1][-1])


def test_few_points_are_left_alone() -> None:
    for count in range(3):
        times = _NOON + _HOUR * np.arange(count)
        even, values = evenly(times, np.zeros(count), _WEEK)
        assert len(even) == len(values) == count
