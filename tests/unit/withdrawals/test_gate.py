"""The residual gate: the oracle, its edges, and laws that hold for every series."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.withdrawals.gate.domain.baselines import moving_average
from services.withdrawals.gate.domain.gate import (
    GateBand,
    GateMethod,
    GateResult,
    GateSettings,
    GateSide,
    GateState,
    judge,
    residuals,
)
from services.withdrawals.gate.domain.robust import robust_forecast
from services.withdrawals.gate.domain.student import student_quantile
from shared.errors import InvalidArgument
from tests.bench.gate_calibration import TICK, autoregressive, noise, rates

ORACLE = json.loads((Path(__file__).parents[2] / "oracle" / "withdrawals.json").read_text())
BANDS = {"stddev": GateBand.K_SIGMA, "percentile": GateBand.QUANTILE}
HOUR_MICROS = 3_600_000_000
SIMPLE = [method for method in GateMethod if method is not GateMethod.ROBUST]


def hours(count: int) -> np.ndarray:
    return np.arange(count, dtype=np.int64) * HOUR_MICROS


def judged(values: np.ndarray, **settings: object) -> GateResult:
    return judge(hours(len(values)), values, GateSettings(**settings))


@pytest.mark.parametrize("case", ORACLE["gates"])
def test_a_gate_is_that_of_the_oracle(case: dict) -> None:
    found = judged(
        np.array(case["series"], np.float64),
        method=GateMethod(case["method"].upper()),
        order=case["order"],
        band=BANDS[case["mode"]],
        k_sigma=case["k_sigma"],
        central_confidence=case["central_confidence"],
        min_points=case["min_points"],
    )
    expected = case["expected"]
    assert found.state == expected["state"]
    assert found.side == expected.get("side")
    for name in ("fit", "residual", "sigma", "low", "high"):
        known = expected.get(name)
        assert getattr(found, name) == (known and pytest.approx(known, rel=1e-9, abs=1e-9))
    assert found.point_count == len(case["series"]) - 1


@pytest.mark.parametrize(
    ("probability", "degrees", "known"),
    [
        (0.975, 1, 12.706204736174698),
        (0.975, 2, 4.302652729749464),
        (0.95, 5, 2.015048372669157),
        (0.975, 10, 2.2281388519649385),
        (0.995, 30, 2.7499956535672202),
        (0.975, 164, 1.9745345758575537),
        (0.9999, 1, 3183.0987571185),
        (0.5, 7, 0.0),
        (0.025, 10, -2.2281388519649385),
    ],
)
def test_a_quantile_of_student_is_that_of_the_tables(
    probability: float, degrees: int, known: float
) -> None:
    assert student_quantile(probability, degrees) == pytest.approx(known, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("method", GateMethod)
def test_min_points_are_counted_before_the_tested_one(method: GateMethod) -> None:
    values = noise(1, 1, 20)[0]
    assert judged(values, method=method).state is GateState.EVALUATED
    few = judged(values[1:], method=method)
    assert (few.state, few.point_count) == (GateState.INSUFFICIENT_POINTS, 19)
    assert few.fit is few.side is few.sigma is few.low is None


@pytest.mark.parametrize("method", GateMethod)
def test_three_points_are_enough_only_for_a_method_that_can_use_them(method: GateMethod) -> None:
    found = judged(np.array([1.0, 2.0, 1.0, 1.5]), method=method, order=5, min_points=3)
    able = {GateMethod.MEDIAN, GateMethod.MOVING_AVERAGE}
    assert (found.state is GateState.EVALUATED) is (method in able)


@pytest.mark.parametrize("method", GateMethod)
@pytest.mark.parametrize("values", [np.empty(0), np.array([1.0]), np.full(40, np.nan)])
def test_nothing_to_judge_by_is_insufficient(method: GateMethod, values: np.ndarray) -> None:
    found = judged(values, method=method)
    assert (found.state, found.point_count) == (GateState.INSUFFICIENT_POINTS, 0)


@pytest.mark.parametrize("method", GateMethod)
def test_a_tested_point_that_is_not_known_is_not_judged(method: GateMethod) -> None:
    values = noise(1, 1, 40)[0]
    values[-1] = np.nan
    assert judged(values, method=method).state is GateState.INSUFFICIENT_POINTS


@pytest.mark.parametrize("method", GateMethod)
def test_points_that_are_not_known_are_as_if_they_were_not_there(method: GateMethod) -> None:
    values = noise(1, 1, 40)[0]
    holed = np.insert(values, [3, 3, 20], np.nan)
    assert judged(holed, method=method) == judged(values, method=method)


@pytest.mark.parametrize("method", GateMethod)
def test_points_before_the_lookback_say_nothing(method: GateMethod) -> None:
    values = noise(1, 1, 60)[0]
    wild = values.copy()
    wild[:20] = 1e6
    found = judged(wild, method=method, lookback=timedelta(hours=40))
    assert found == judged(values[20:], method=method)
    assert found.point_count == 40


@pytest.mark.parametrize("method", SIMPLE)
@pytest.mark.parametrize("band", GateBand)
@pytest.mark.parametrize("level", [1000.1, -3e8])
def test_a_constant_has_a_degenerate_scale(
    method: GateMethod, band: GateBand, level: float
) -> None:
    found = judged(np.append(np.full(40, level), level + 5), method=method, band=band)
    assert (found.state, found.side) == (GateState.DEGENERATE_SCALE, None)
    assert found.fit == pytest.approx(level)
    assert found.residual == pytest.approx(5)


@pytest.mark.parametrize("level", [0.0, 1.0, 1234.567, -9e8])
@pytest.mark.parametrize("slope", [0.0, 0.01])
def test_the_robust_gate_lets_a_smooth_series_pass_within_a_tick(
    level: float, slope: float
) -> None:
    line = level + slope * np.arange(169.0)
    tick = max(1e-6, 1e-14 * abs(level))
    for off, side in ((0.9, "INSIDE"), (-0.9, "INSIDE"), (5, "ABOVE"), (-5, "BELOW")):
        values = line.copy()
        values[-1] += off * tick
        found = judged(values)
        assert (found.state, found.side) == (GateState.EVALUATED, GateSide(side)), off
        assert found.sigma == pytest.approx(tick)


@pytest.mark.parametrize("width", [3, 5, 25])
@pytest.mark.parametrize("level", [10.0, 0.1, 1e9 / 3])
def test_a_moving_average_leaves_a_constant_as_it_is(width: int, level: float) -> None:
    found = moving_average(np.full(10, level), width)
    assert found.fitted.tolist() == [level] * 10
    assert found.expected == level


def test_a_moving_average_of_three_of_ten_tens_is_that_of_the_oracle() -> None:
    found = moving_average(np.full(10, 10.0), 3)
    assert found.fitted.tolist() == ORACLE["statistics"]["boxcar_w3_of_ten_tens"]


def test_a_moving_average_is_centred_and_narrower_at_the_ends() -> None:
    found = moving_average(np.array([0.0, 3.0, 6.0, 0.0, 9.0]), 3)
    assert found.fitted.tolist() == pytest.approx([1.5, 3.0, 3.0, 5.0, 4.5])
    assert found.expected == pytest.approx(9.0)


def test_an_outlier_just_before_does_not_move_the_robust_forecast() -> None:
    values = autoregressive(noise(7, 1), 0.6)[0]
    clean = judged(values)
    values[-2] += 40.0
    hit = judged(values)
    assert clean.fit is not None and clean.sigma is not None
    assert hit.fit == pytest.approx(clean.fit, abs=2.5 * clean.sigma)
    assert hit.sigma == pytest.approx(clean.sigma, rel=0.05)


def test_a_lasting_step_of_a_wandering_series_is_followed() -> None:
    values = np.cumsum(noise(7, 1)[0])
    values[-6:] += 15.0
    found = judged(values)
    assert found.fit == pytest.approx(values[-2], abs=3.0)


@given(
    level=st.floats(-1e6, 1e6),
    slope=st.floats(-10, 10),
    factor=st.floats(0.01, 1000),
    seed=st.integers(0, 1000),
)
def test_level_slope_and_unit_of_a_series_change_no_robust_verdict(
    level: float, slope: float, factor: float, seed: int
) -> None:
    plain = autoregressive(noise(seed, 1), 0.5)[0]
    moved = level + slope * np.arange(len(plain)) + factor * plain
    here, there = judged(plain), judged(moved)
    assert here.residual is not None and here.high is not None
    assert there.residual == pytest.approx(factor * here.residual, rel=1e-5, abs=1e-5 * factor)
    assert there.high == pytest.approx(factor * here.high, rel=1e-5)


@given(seed=st.integers(0, 1000))
def test_up_and_down_are_judged_alike(seed: int) -> None:
    values = noise(seed, 1)[0]
    up, down = judged(values), judged(-values)
    assert up.residual is not None and down.residual is not None
    assert down.residual == pytest.approx(-up.residual, abs=1e-9)


def test_many_series_at_once_are_judged_as_each_alone() -> None:
    many = autoregressive(noise(3, 20, 50), 0.7)
    forecast = robust_forecast(many[:, :-1], 0.05, TICK)
    for row, series in enumerate(many):
        alone = judged(series)
        assert alone.fit == pytest.approx(forecast.expected[row], rel=1e-9, abs=1e-9)
        assert alone.high == pytest.approx(forecast.half_width[row], rel=1e-9)


@pytest.mark.parametrize("method", GateMethod)
def test_the_last_residual_is_the_tested_one(method: GateMethod) -> None:
    values = noise(5, 1, 40)[0]
    values[10] = np.nan
    found = residuals(hours(41), values, GateSettings(method=method))
    assert found.residual[-1] == found.result.residual
    assert found.row[-1] == 40
    assert 10 not in found.row
    assert np.isfinite(found.residual).all()
    assert len(found.row) == len(found.residual) >= 39


def test_a_robust_gate_holds_its_promises_on_some_seeds() -> None:
    assert not [rate for rate in rates(0, 300) if not rate.holds]


@pytest.mark.slow
def test_a_robust_gate_holds_its_promises_on_a_thousand_seeds() -> None:
    found = rates(0)
    assert not [rate for rate in found if not rate.holds]
    # The side of an opportunity alone, too.
    assert not [rate for rate in found if not rate.least <= rate.above <= rate.most]


def test_every_broken_setting_is_told_at_once() -> None:
    with pytest.raises(InvalidArgument) as caught:
        GateSettings(
            order=6,
            average_points=4,
            k_sigma=0,
            central_confidence=1,
            alpha=0,
            lookback=timedelta(0),
            min_points=2,
            tick=0,
        )
    names = "order average_points k_sigma central_confidence alpha lookback min_points tick"
    assert set(caught.value.fields) == {f"gate.{name}" for name in names.split()}
