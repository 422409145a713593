"""Views of a supply position: values, bins, distribution and trend."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from services.withdrawals.gate.domain.gate import GateSettings, GateSide, GateState
from services.withdrawals.series.domain import (
    PERCENTILES,
    SupplyColumns,
    View,
    aggregate,
    bin_count,
    histogram,
    kernel_density,
    trend,
    view_series,
)

ORACLE = json.loads((Path(__file__).parents[2] / "oracle" / "withdrawals.json").read_text())
STATISTICS = ORACLE["statistics"]
HOUR_MICROS = 3_600_000_000
DAY_MICROS = 24 * HOUR_MICROS
HOUR = timedelta(hours=1)


def supply(count: int = 3, base_units: float = 1000.0) -> SupplyColumns:
    row = np.arange(float(count))
    return SupplyColumns(
        np.arange(count, dtype=np.int64) * HOUR_MICROS,
        2000.0 + row,
        row,
        np.full(count, 1.02),
        np.full(count, 0.5),
        base_units,
    )


@pytest.mark.parametrize(
    ("view", "values"),
    [
        (View.POSITION, [2000, 2001, 2002]),
        (View.CORRECTED, [1000, 1001, 1002]),
        (View.RATE_USD, [1.02] * 3),
        (View.RATE_ADA, [2.04] * 3),
        (View.GAIN_PERCENT, [0, 0.1, 0.2]),
    ],
)
def test_a_view_has_the_values_of_its_name(view: View, values: list[float]) -> None:
    found = view_series(view, supply(), GateSettings())
    assert found.values.tolist() == pytest.approx(values)
    assert found.time_micros.tolist() == [0, HOUR_MICROS, 2 * HOUR_MICROS]
    assert found.gate is None


@pytest.mark.parametrize("view", View)
def test_what_is_not_known_is_left_out(view: View) -> None:
    columns = supply()
    for column in (columns.position_units, columns.gain_units, columns.price_usd):
        column[1] = np.nan
    found = view_series(view, columns, GateSettings())
    expected = [] if view is View.RESIDUAL else [0, 2 * HOUR_MICROS]
    assert found.time_micros.tolist() == expected


def test_without_a_base_there_is_no_gain_to_show() -> None:
    for base_units in (np.nan, 0.0):
        found = view_series(View.GAIN_PERCENT, supply(base_units=base_units), GateSettings())
        assert len(found.values) == 0
    assert len(view_series(View.CORRECTED, supply(base_units=np.nan), GateSettings()).values) == 0


def test_residuals_are_those_of_the_gate_with_its_verdict() -> None:
    columns = supply(100)
    columns.gain_units[:] += np.random.default_rng(4).normal(0, 0.1, 100)
    columns.gain_units[-1] += 5
    found = view_series(View.RESIDUAL, columns, GateSettings(lookback=timedelta(hours=50)))
    assert found.gate is not None and found.gate.state is GateState.EVALUATED
    assert found.gate.side is GateSide.ABOVE
    assert found.values[-1] == found.gate.residual == pytest.approx(5, abs=0.5)
    assert found.time_micros[-1] == 99 * HOUR_MICROS
    assert len(found.values) == 50
    assert np.abs(found.values[:-1]).max() < 0.5


def test_a_bin_has_its_count_and_percentiles() -> None:
    time = np.array([0, 1, 2, 3, 4], np.int64) * 20 * 60 * 1_000_000
    found = aggregate(time, np.array([5.0, 1.0, 3.0, 2.0, 4.0]), HOUR)
    assert found.start_micros.tolist() == [0, HOUR_MICROS]
    assert found.point_count.tolist() == [3, 2]
    assert found.percentiles.tolist() == [
        pytest.approx([1.4, 2.0, 3.0, 4.0, 4.6]),
        pytest.approx([2.2, 2.5, 3.0, 3.5, 3.8]),
    ]


def test_bins_without_a_point_are_not_there() -> None:
    time = np.array([-HOUR_MICROS, 10 * HOUR_MICROS], np.int64)
    found = aggregate(time, np.array([1.0, 2.0]), HOUR)
    assert found.start_micros.tolist() == time.tolist()
    none = aggregate(time[:0], np.empty(0), HOUR)
    assert (len(none.start_micros), none.percentiles.shape) == (0, (0, 5))


@given(
    values=arrays(np.float64, st.integers(1, 60), elements=st.floats(-1e6, 1e6)),
    minutes=st.integers(1, 600),
)
def test_every_bin_has_the_percentiles_numpy_finds_of_it(values: np.ndarray, minutes: int) -> None:
    time = np.arange(len(values), dtype=np.int64) * 7 * 60_000_000
    width = timedelta(minutes=minutes)
    found = aggregate(time, values, width)
    assert found.point_count.sum() == len(values)
    for start, row in zip(found.start_micros, found.percentiles, strict=True):
        inside = values[(time >= start) & (time < start + minutes * 60_000_000)]
        assert row == pytest.approx(np.percentile(inside, PERCENTILES), rel=1e-9, abs=1e-6)


@pytest.mark.parametrize(("points", "wanted", "bins"), STATISTICS["histogram_bins"])
def test_bins_of_a_histogram_are_those_of_the_oracle(points: int, wanted: int, bins: int) -> None:
    assert bin_count(points, wanted) == bins


def test_a_histogram_counts_every_value_once() -> None:
    values = np.random.default_rng(1).normal(size=333)
    found = histogram(values, 10)
    assert len(found.counts) == 33
    assert len(found.edges) == 34
    assert found.counts.sum() == 333
    assert (found.edges[0], found.edges[-1]) == (values.min(), values.max())
    alike = histogram(np.full(7, 2.0), 10)
    assert alike.counts.sum() == 7
    assert len(histogram(np.empty(0), 10).edges) == 0


def test_a_density_is_that_of_the_oracle() -> None:
    case = STATISTICS["kde"]
    found = kernel_density(np.array(case["data"], np.float64), np.array(case["at"], np.float64))
    assert found is not None
    assert found.bandwidth == pytest.approx(case["bandwidth"], rel=1e-8)
    assert found.density.tolist() == pytest.approx(case["density"], rel=1e-7)


@pytest.mark.parametrize("count", [2, 500, 9000])
def test_a_density_has_the_area_of_1(count: int) -> None:
    values = np.random.default_rng(1).normal(3, 0.01, count)
    found = kernel_density(values)
    assert found is not None
    assert np.trapezoid(found.density, found.at) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("values", [np.empty(0), np.array([1.0]), np.full(30, 0.1)])
def test_values_that_do_not_differ_have_no_density(values: np.ndarray) -> None:
    assert kernel_density(values) is None


def test_a_trend_is_that_of_the_oracle() -> None:
    day = np.arange(31, dtype=np.int64)
    found = trend(day * DAY_MICROS, 1000.0 + 2.0 * day)
    assert found is not None
    assert found.per_month == pytest.approx(STATISTICS["trend"]["per_month"])
    assert found.per_year == pytest.approx(STATISTICS["trend"]["per_year"])


def test_a_trend_goes_by_time_and_not_by_the_number_of_points() -> None:
    time = np.array([0, 1, 2, 10], np.int64) * DAY_MICROS + 1_800_000_000_000_000
    found = trend(time, np.array([0.0, 1.0, 2.0, 10.0]))
    assert found is not None and found.per_month == pytest.approx(30.0)


@pytest.mark.parametrize("count", [0, 1])
def test_one_point_has_no_trend(count: int) -> None:
    assert trend(np.zeros(count, np.int64), np.zeros(count)) is None
    assert trend(np.zeros(2, np.int64), np.array([1.0, 2.0])) is None
