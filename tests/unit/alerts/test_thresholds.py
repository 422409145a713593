"""Limits: their order, what they may be for, and which one holds for an asset."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from services.alerts.domain.kinds import AlertClass, AlertType, Condition, kind_of
from services.alerts.domain.thresholds import (
    Rules,
    Scope,
    Threshold,
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
    return Threshold(scope, low, medium, high, enabled, (), (), (), 1, datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("scope", "limits"),
    [
        (HEAT, (30, 40, 50)),
        (HEAT, (30, 30, 30)),
        (HEAT, (None, None, 50)),
        (HEAT, (30, None, 50)),
        (DISTANCE, (10, 7, 5)),
        (DISTANCE, (10, 10, -5)),
    ],
)
def test_limits_in_order_are_taken(scope: Scope, limits: tuple) -> None:
    check_limits(_threshold(scope, *limits))


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
    own = _threshold(Scope(AlertType.LIQUIDATION_DISTANCE, Condition.BELOW, "ETH"), 16, 11, 8, enabled=False)
    limits, enabled = Rules([_threshold(DISTANCE, 10, 7, 5), own]).tables(["", "ETH", "SOL"])
    kind = kind_of(AlertType.LIQUIDATION_DISTANCE, Condition.BELOW)
    assert limits[kind].tolist() == [[10, 7, 5], [16, 11, 8], [10, 7, 5]]
    assert enabled[kind].tolist() == [True, False, True]


def test_kinds_with_nothing_enabled_make_no_alerts() -> None:
    rules = Rules([_threshold(DISTANCE, 10, 7, 5, enabled=False), _threshold(HEAT, 30, 40, 50)])
    assert rules.kinds(AlertClass.POSITION) == [kind_of(AlertType.HEAT_INDEX, Condition.ABOVE)]
