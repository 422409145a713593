"""Limits: their order, what they may be for, and which one holds for an asset."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from services.alerts.domain.kinds import BY_HAND, METRICS, AlertClass, AlertType, Condition, kind_of
from services.alerts.thresholds.domain import (
    Scope,
    Threshold,
    ThresholdSet,
    check_limits,
    check_scope,
    scope_from_id,
)
from shared.errors import InvalidArgument

DISTANCE = Scope(AlertType.LIQUIDATION_DISTANCE, Condition.BELOW)
HEAT = Scope(AlertType.HEAT_INDEX, Condition.ABOVE)


def _threshold(
    scope: Scope, low: float | None, medium: float | None, high: float | None, enabled: bool = True
) -> Threshold:
    return Threshold(
        scope, low, medium, high, enabled, (), (), (), 1, datetime(2026, 1, 1, tzinfo=UTC)
    )


@pytest.mark.parametrize(
    ("scope", "limits"),
    [
        (HEAT, (30, 40, 50)),
        (HEAT, (30, 30, 30)),
        (HEAT, (None, None, 50)),
        (HEAT, (30, None, 50)),
        (DISTANCE, (10, 7, 5)),
        (DISTANCE, (10, 10, 0)),
    ],
)
def test_limits_in_order_are_taken(scope: Scope, limits: tuple) -> None:
    check_limits(_threshold(scope, *limits))


# The ends of what a limit of each metric may be, and what lies just beyond them.
RANGES = {
    AlertType.HEAT_INDEX: ((0, 100), (-0.1, 100.1)),
    AlertType.TRAVEL_PERCENT: ((-100, 0, 500), (-100.1, -200)),
    AlertType.LIQUIDATION_DISTANCE: ((0, 100), (-0.1, 100.1, -200)),
    AlertType.LIQUIDATION_PROBABILITY: ((0, 1), (-0.01, 1.01, 5)),
    AlertType.PROFIT: ((-1e9, 0, 1e9), ()),
    AlertType.TOTAL_VALUE: ((-1e9, 0, 1e9), ()),
    AlertType.TOTAL_SIZE: ((0, 1e9), (-1,)),
    AlertType.TOTAL_PROFIT: ((0, 1e9), (-1,)),
    AlertType.AVG_LEVERAGE: ((0.1, 100), (0, -1)),
    AlertType.AVG_TRAVEL_PERCENT: ((-100, 500), (-100.1,)),
    AlertType.VALUE_TO_COLLATERAL_RATIO: ((0, 5), (-0.1,)),
    AlertType.TOTAL_HEAT: ((0, 100), (-1, 101)),
    AlertType.PRICE_THRESHOLD: ((1e-9, 1e9), (0, -5)),
    AlertType.DELTA_CHANGE: ((-99, 1e6), (-100, -150)),
    AlertType.TIME: ((1,), (0, -1)),
    AlertType.ACCOUNT_DISTANCE: ((0, 100), (-0.1, 101)),
    AlertType.WALLET_EXPOSURE: ((0.1, 50), (0, -1)),
}


@pytest.mark.parametrize("alert_type", BY_HAND)
def test_a_limit_outside_what_its_metric_can_be_is_no_limit(alert_type: AlertType) -> None:
    good, bad = RANGES[alert_type]
    assert [METRICS[alert_type].limit_problem(float(limit)) for limit in good] == [""] * len(good)
    for limit in bad:
        assert METRICS[alert_type].noun in METRICS[alert_type].limit_problem(float(limit))


@pytest.mark.parametrize("name", ["low", "medium", "high"])
def test_each_limit_of_a_threshold_is_checked_by_its_name(name: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_limits(replace(_threshold(HEAT, None, None, None), **{name: 150.0}))
    assert (caught.value.reason, list(caught.value.fields)) == (
        "INVALID_FIELD",
        [f"threshold.{name}"],
    )


def test_a_limit_that_stood_so_before_may_stay() -> None:
    before = _threshold(HEAT, 30, 40, 150)
    check_limits(replace(before, enabled=False, low=20), before)
    with pytest.raises(InvalidArgument):
        check_limits(replace(before, low=-1), before)


@pytest.mark.parametrize(
    ("scope", "limits"),
    [(HEAT, (50, 40, 30)), (HEAT, (30, 60, 50)), (HEAT, (60, None, 50)), (DISTANCE, (5, 7, 10))],
)
def test_limits_out_of_order_are_refused(scope: Scope, limits: tuple) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_limits(_threshold(scope, *limits))
    assert caught.value.reason == "LIMITS_OUT_OF_ORDER"


def test_a_threshold_without_a_limit_is_refused() -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_limits(_threshold(HEAT, None, None, None))
    assert caught.value.reason == "INVALID_FIELD"


@pytest.mark.parametrize(
    ("scope", "reason"),
    [
        (Scope(AlertType.PRICE_THRESHOLD, Condition.ABOVE), "INVALID_FIELD"),
        (Scope(AlertType.TOTAL_VALUE, Condition.ABOVE, "BTC"), "INVALID_FIELD"),
        (Scope(AlertType.HEAT_INDEX, Condition.NONE), "INVALID_FIELD"),
        (Scope(AlertType.DEATH_NAIL, Condition.ABOVE), "UNKNOWN_NAME"),
    ],
)
def test_what_cannot_be_judged_is_refused(scope: Scope, reason: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_scope(scope)
    assert caught.value.reason == reason


def test_an_id_spells_its_scope() -> None:
    scope = Scope(AlertType.LIQUIDATION_DISTANCE, Condition.BELOW, "ETH")
    assert scope.id == "LIQUIDATION_DISTANCE-POSITION-BELOW-ETH"
    assert scope_from_id(scope.id) == scope
    assert scope_from_id("LIQUIDATION_DISTANCE-MARKET-BELOW-ETH") is None
    assert scope_from_id("nonsense") is None


def test_the_most_specific_threshold_wins_even_when_it_judges_nothing() -> None:
    own = _threshold(
        Scope(AlertType.LIQUIDATION_DISTANCE, Condition.BELOW, "ETH"), 16, 11, 8, enabled=False
    )
    limits, enabled = ThresholdSet([_threshold(DISTANCE, 10, 7, 5), own]).tables(["", "ETH", "SOL"])
    kind = kind_of(AlertType.LIQUIDATION_DISTANCE, Condition.BELOW)
    assert limits[kind].tolist() == [[10, 7, 5], [16, 11, 8], [10, 7, 5]]
    assert enabled[kind].tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("rows", "asset", "high"),
    [
        (["KPEPE"], "kPEPE", 1),
        (["kPEPE"], "kPEPE", 1),
        (["KPEPE", "kPEPE"], "KPEPE", 1),
        (["KPEPE", "kPEPE"], "kPEPE", 2),
        (["KPEPE"], "PEPE", 5),
    ],
)
def test_a_limit_of_the_very_name_judges_and_else_one_that_differs_by_case_alone(
    rows: list[str], asset: str, high: float
) -> None:
    own = [
        _threshold(replace(DISTANCE, asset=name), None, None, number + 1.0)
        for number, name in enumerate(rows)
    ]
    known = ThresholdSet([_threshold(DISTANCE, 10, 7, 5), *own])
    found = known.find(kind_of(DISTANCE.type, DISTANCE.condition), asset)
    assert found is not None and found.high == high


@pytest.mark.parametrize(
    ("rows", "assets", "typed", "kept"),
    [
        ([], ["kPEPE"], "kpepe", "kPEPE"),
        ([], ["xyz:TSLA"], "XYZ:TSLA", "xyz:TSLA"),
        (["KPEPE"], [], "kpepe", "KPEPE"),
        (["KPEPE"], ["kPEPE"], "kPEPE", "kPEPE"),
        ([], ["KPEPE", "kPEPE"], "kpepe", "kpepe"),
        ([], [], "kPEPE", "kPEPE"),
        ([], [], "eth", "ETH"),
        ([], [], "", ""),
    ],
)
def test_an_asset_is_kept_as_it_is_known_and_else_as_it_is_typed(
    rows: list[str], assets: list[str], typed: str, kept: str
) -> None:
    known = ThresholdSet([_threshold(replace(DISTANCE, asset=name), 3, 2, 1) for name in rows])
    assert known.as_spelled(replace(DISTANCE, asset=typed), assets).asset == kept
    price = Scope(AlertType.PRICE_THRESHOLD, Condition.ABOVE, typed)
    assert known.as_spelled(price, assets).asset == typed.upper()


def test_kinds_with_nothing_enabled_make_no_alerts() -> None:
    rules = ThresholdSet(
        [_threshold(DISTANCE, 10, 7, 5, enabled=False), _threshold(HEAT, 30, 40, 50)]
    )
    assert rules.kinds(AlertClass.POSITION) == [kind_of(AlertType.HEAT_INDEX, Condition.ABOVE)]
