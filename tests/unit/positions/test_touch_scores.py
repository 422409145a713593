"""Scores of touch probabilities, on statements whose truth is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import isnan, log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.positions.touch_record.domain.scores import (
    EDGES,
    bin_of,
    decomposition,
    independent_count,
    isotonic,
    log_score,
    scores,
    wilson,
)
from services.positions.touch_record.domain.statements import (
    GIVEN_UP,
    MINUTES_MISSING,
    MOST_STATEMENTS,
    AssetStatements,
    StatementState,
    outcome,
    stated,
    stretch,
)
from shared.touch import TouchModel, normal

START = datetime(2026, 11, 20, 7, 0, 40, tzinfo=UTC)
DAY = timedelta(hours=24)


def statements(
    said: list[float], touched: list[bool], hour: int = 0, *, asset: str = "BTC", **fields: object
) -> AssetStatements:
    """Longs at 100 with levels that the low of 80 reached or not."""
    levels = np.where(touched, 90.0, 70.0)
    moment = START + timedelta(hours=hour)
    known = {
        "market": 2,
        "asset": asset,
        "stated_time": moment,
        "until_time": moment + DAY,
        "model": TouchModel.EMPIRICAL,
        "sigma": 0.01,
        "side_signs": np.ones(len(said), np.int8),
        "away": np.log(100.0 / levels),
        "liquidation_prices_usd": levels,
        "probabilities": np.array(said),
        "state": StatementState.SCORED,
        "high_usd": 120.0,
        "low_usd": 80.0,
    }
    return AssetStatements(**{**known, **fields})


def columns(**changed: object) -> dict[str, np.ndarray]:
    known = {
        "asset_index": [0, 0, 1],
        "side_sign": [1.0, -1.0, 1.0],
        "mark_price_usd": [100.0, 100.0, 10.0],
        "risk_liquidation_price_usd": [80.0, 125.0, 9.0],
        "liquidation_probability": [0.1, 0.2, 0.3],
        "stale": [False, False, False],
    }
    return {name: np.array(column) for name, column in {**known, **changed}.items()}


def said_by(found: dict[str, np.ndarray]) -> dict[str, list[float]]:
    models = (TouchModel.EMPIRICAL, None)
    made = stated(found, ("BTC", "ETH"), models, {"BTC": 0.01}, 2, START)
    return {one.asset: one.probabilities.tolist() for one in made}


def test_a_pass_states_once_an_asset_what_it_says_of_each_position() -> None:
    first, second = stated(
        columns(), ("BTC", "ETH"), (TouchModel.EMPIRICAL, None), {"BTC": 0.01}, 2, START
    )
    assert (first.asset, first.sigma, first.model) == ("BTC", 0.01, TouchModel.EMPIRICAL)
    assert first.away.tolist() == pytest.approx([log(100 / 80), log(125 / 100)])
    assert (first.stated_time, first.until_time) == (START, START + DAY)
    assert second.model is TouchModel.NORMAL
    assert isnan(second.sigma)


@pytest.mark.parametrize(
    "changed",
    [
        {"stale": [True, False, False]},
        {"liquidation_probability": [np.nan, 0.2, 0.3]},
        {"risk_liquidation_price_usd": [np.nan, 125.0, 9.0]},
        {"mark_price_usd": [80.0, 100.0, 10.0], "liquidation_probability": [1.0, 0.2, 0.3]},
        {"mark_price_usd": [79.0, 100.0, 10.0], "liquidation_probability": [1.0, 0.2, 0.3]},
        {"side_sign": [0.0, -1.0, 1.0]},
    ],
)
def test_what_is_old_unknown_or_past_its_level_states_nothing(changed: dict) -> None:
    assert said_by(columns(**changed)) == {"BTC": [0.2], "ETH": [0.3]}


def test_of_many_positions_of_one_asset_a_hundred_speak_evenly_spread() -> None:
    count = 1001
    many = {
        "asset_index": [0] * count,
        "side_sign": [1.0] * count,
        "mark_price_usd": [100.0] * count,
        "risk_liquidation_price_usd": [50.0] * count,
        "liquidation_probability": np.random.default_rng(1).permutation(count) / count,
        "stale": [False] * count,
    }
    (found,) = said_by(columns(**many)).values()
    assert len(found) == MOST_STATEMENTS
    assert (found[0], found[-1]) == (0.0, 1000 / 1001)
    assert max(np.diff(found)) < 2.1 / MOST_STATEMENTS


def minutes(one: AssetStatements) -> np.ndarray:
    first, end = (int(moment.timestamp()) // 60 for moment in stretch(one))
    return np.arange(first - 30, end + 30)


def scored(one: AssetStatements, kept: np.ndarray, late: timedelta = timedelta(minutes=2)):
    minute = minutes(one)[kept]
    return outcome(one, minute, minute * 1.0, minute * -1.0, "", one.until_time + late)


def test_only_the_minutes_within_the_horizon_count() -> None:
    one = statements([0.1], [False])
    first, end = stretch(one)
    assert (first, end) == (START.replace(minute=1, second=0), START.replace(second=0) + DAY)
    found = scored(one, np.ones(len(minutes(one)), np.bool_))
    assert found.state is StatementState.SCORED
    assert found.high_usd == int(end.timestamp()) // 60 - 1
    assert found.low_usd == -found.high_usd


def test_one_unknown_minute_leaves_the_outcome_open_and_never_makes_it_untouched() -> None:
    one = statements([0.1], [False])
    kept = np.ones(len(minutes(one)), np.bool_)
    kept[500] = False
    found = scored(one, kept)
    assert (found.state, found.reason) == (StatementState.WAITING, MINUTES_MISSING)
    given_up = scored(one, kept, GIVEN_UP)
    assert (given_up.state, given_up.reason) == (StatementState.UNSCORED, MINUTES_MISSING)
    assert isnan(given_up.high_usd)
    none = np.empty(0, np.int64)
    found = outcome(one, none, none * 1.0, none * 1.0, "TIMEOUT", one.until_time + GIVEN_UP)
    assert (found.state, found.reason) == (StatementState.UNSCORED, "TIMEOUT")


def test_to_reach_the_level_exactly_is_to_touch_it_on_either_side() -> None:
    one = statements(
        [0.1] * 4,
        [False] * 4,
        side_signs=np.array([1, 1, -1, -1], np.int8),
        liquidation_prices_usd=np.array([80.0, 79.99, 120.0, 120.01]),
    )
    assert one.touched.tolist() == [True, False, True, False]


def test_every_score_of_a_small_record_is_the_one_computed_by_hand() -> None:
    # 0.1 and 0.2 came true once of two each: pooled to a half; 0.6 did twice.
    kept = [
        statements([0.1, 0.6], [True, True]),
        statements([0.1, 0.2], [False, False], 5),
        statements([0.2, 0.6], [True, True], 24, model=TouchModel.NORMAL, sigma=0.02),
    ]
    found = scores("BTC", kept)
    squares = [0.81, 0.16, 0.01, 0.04, 0.64, 0.16]
    assert (found.statement_count, found.touched_count, found.empirical_count) == (6, 4, 4)
    assert found.independent_count == 2
    made = found.decomposition
    assert made.brier == pytest.approx(sum(squares) / 6)
    recalibrated = (4 * 0.25 + 2 * 0) / 6
    assert made.uncertainty == pytest.approx(4 / 6 * 2 / 6)
    assert made.miscalibration == pytest.approx(made.brier - recalibrated)
    assert made.discrimination == pytest.approx(made.uncertainty - recalibrated)
    chances = [0.1, 0.6, 0.9, 0.8, 0.2, 0.6]
    assert found.log_score == pytest.approx(-sum(map(log, chances)) / 6)
    assert found.climatology_log_score == pytest.approx(-(4 * log(4 / 6) + 2 * log(2 / 6)) / 6)
    sigma = sqrt((0.01**2 + 0.01**2 + 0.02**2) / 3)
    assert found.constant_sigma == pytest.approx(sigma)
    near, far = normal(np.log(100 / np.array([90.0, 70.0])) / (sigma * sqrt(24)))
    assert found.constant_brier == pytest.approx((4 * (near - 1) ** 2 + 2 * far**2) / 6)
    assert found.constant_log_score == pytest.approx(-(4 * log(near) + 2 * log(1 - far)) / 6)
    third, fifth = found.bins[2], found.bins[5]
    assert (third.count, third.touched_count, third.independent_count) == (2, 1, 1)
    assert (third.said, third.happened) == pytest.approx((0.1, 0.5))
    assert (third.interval_low, third.interval_high) == wilson(0.5, 1)
    assert (fifth.count, fifth.touched_count, fifth.independent_count) == (2, 2, 2)
    assert found.bins[3].count == 2
    assert isnan(found.bins[0].said)
    assert (found.bins[0].interval_low, found.bins[0].interval_high) == (0.0, 1.0)


def test_each_asset_has_a_constant_sigma_of_its_own_also_among_all() -> None:
    kept = [
        statements([0.5], [True]),
        statements([0.5], [True], asset="ETH", sigma=0.03),
        statements([0.5], [False], asset="SOL", sigma=float("nan")),
    ]
    found = scores("", kept)
    near = normal(np.log(100 / 90.0) / (np.array([0.01, 0.03]) * sqrt(24)))
    assert found.constant_brier == pytest.approx(((near - 1) ** 2).mean())
    assert isnan(found.constant_sigma)
    assert found.independent_count == 1


def test_an_empty_record_has_no_scores() -> None:
    found = scores("", [])
    assert found.statement_count == found.independent_count == 0
    assert isnan(found.decomposition.brier)
    assert isnan(found.log_score)
    assert isnan(found.climatology_log_score)


def test_a_law_that_is_right_is_calibrated_and_one_that_exaggerates_is_not() -> None:
    chance = np.random.default_rng(3)
    truth = chance.uniform(0.01, 0.9, 40_000)
    happened = chance.random(len(truth)) < truth
    right, wrong = decomposition(truth, happened), decomposition(truth**0.3, happened)
    assert right.miscalibration < 0.001
    assert wrong.miscalibration > 0.04
    assert right.discrimination == pytest.approx(wrong.discrimination)
    assert right.brier == pytest.approx(float((truth * (1 - truth)).mean()), abs=0.003)
    blind = decomposition(np.full(len(truth), happened.mean()), happened)
    assert blind.miscalibration == blind.discrimination == pytest.approx(0.0, abs=1e-12)


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=1, max_size=60))
def test_the_parts_make_the_score_and_the_recalibrated_rises(rows: list) -> None:
    said = np.array([number / 20 for number, _ in rows])
    happened = np.array([came for _, came in rows])
    found = decomposition(said, happened)
    total = found.miscalibration - found.discrimination + found.uncertainty
    assert found.brier == pytest.approx(total, abs=1e-12)
    curve = isotonic(said, happened)
    assert (np.diff(curve[np.argsort(said, kind="stable")]) >= 0).all()
    assert curve.mean() == pytest.approx(happened.mean())
    # No rising function of what was said is nearer: not the statements themselves, not a shift.
    for other in (said, said**2, np.full(len(said), happened.mean())):
        assert ((curve - happened) ** 2).sum() <= ((other - happened) ** 2).sum() + 1e-9
    assert log_score(said, happened) >= 0


@given(st.floats(0, 1), st.integers(1, 10_000))
def test_a_share_lies_in_its_interval_which_narrows(share: float, count: int) -> None:
    low, high = wilson(share, count)
    assert 0 <= low <= share + 1e-12
    assert share - 1e-12 <= high <= 1
    wider = wilson(share, count / 2)
    assert wider[1] - wider[0] >= high - low
    assert wilson(share, 0) == (0.0, 1.0)


def test_the_interval_is_the_one_of_the_textbook() -> None:
    assert wilson(0.1, 100) == pytest.approx((0.05523, 0.17437), abs=1e-5)


def test_horizons_that_overlap_are_one_trial() -> None:
    day = 24 * 3600.0
    assert independent_count(np.array([0, 3600.0, day - 1])) == 1
    assert independent_count(np.array([day, 0, 0, day, 2 * day - 1])) == 2


def test_every_chance_has_one_bin() -> None:
    assert [bin_of(chance) for chance in (0, 0.0099, 0.01, 0.8, 1)] == [0, 0, 1, 6, 6]
    assert len(EDGES) == 8
