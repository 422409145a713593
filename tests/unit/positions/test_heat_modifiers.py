"""Model and weights of heat: what a group must hold, and JSON there and back."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.positions.enrichment.domain.heat import (
    DEFAULT_HEAT,
    HeatModifiers,
    exported,
    imported,
    model_of,
    weights_of,
)
from services.positions.enrichment.domain.metrics import HeatModel, HeatWeights
from shared.errors import InvalidArgument

GOOD = {"distance_weight": 0.6, "leverage_weight": 0.3, "collateral_weight": 0.1}


def text(**group: object) -> str:
    return json.dumps({"heat_modifiers": group})


@given(st.sampled_from(HeatModel), *[st.floats(0, 100)] * 3)
def test_what_is_exported_is_imported_as_it_was(model, distance, leverage, collateral) -> None:
    heat = HeatModifiers(model, HeatWeights(distance, leverage, collateral))
    assert imported(exported(heat), HeatModel.LIQUIDATION) == (heat.model, heat.weights, ())


def test_the_export_is_a_group_of_numbers() -> None:
    assert json.loads(exported(DEFAULT_HEAT)) == {"heat_modifiers": {"model": 1, **GOOD}}


@pytest.mark.parametrize(
    "group",
    [
        {"distanceWeight": 0.6, "leverageWeight": 0.3, "collateralWeight": 0.1},
        {"Distance": 0.6, "LEVERAGE": 0.3, "collateral": 0.1},
    ],
)
def test_keys_are_known_in_every_case_and_the_model_stays_when_left_out(group) -> None:
    model, weights, _ = imported(text(**group), HeatModel.CLASSIC)
    assert (model, weights) == (HeatModel.CLASSIC, HeatWeights())


def test_groups_of_other_services_are_left_alone_and_named() -> None:
    document = json.dumps({"hedge_modifiers": {"fee_percentage": 0.234}, "heat_modifiers": GOOD})
    assert imported(document, HeatModel.LIQUIDATION)[2] == ("hedge_modifiers",)


@pytest.mark.parametrize(
    ("group", "field"),
    [
        ({"distance_weight": 0.6, "leverage_weight": 0.3}, "collateral_weight"),
        ({**GOOD, "leverage_weight": -0.1}, "leverage_weight"),
        ({**GOOD, "leverage_weight": 101}, "leverage_weight"),
        ({**GOOD, "distance_weight": "0.6"}, "distance_weight"),
        ({**GOOD, "distance_weight": True}, "distance_weight"),
        ({**GOOD, "distance_weight": None}, "distance_weight"),
        ({**GOOD, "distance_weight": float("nan")}, "distance_weight"),
        ({**GOOD, "distance_weight": float("inf")}, "distance_weight"),
        ({**GOOD, "colour": 1}, "colour"),
        ({**GOOD, "distance": 1}, "distance"),
        ({**GOOD, "model": 3}, "model"),
        ({**GOOD, "model": 1.5}, "model"),
    ],
)
def test_a_group_that_lacks_a_weight_or_holds_a_bad_one_is_refused(group, field) -> None:
    with pytest.raises(InvalidArgument) as refused:
        imported(text(**group), HeatModel.LIQUIDATION)
    assert refused.value.reason == "BAD_MODIFIERS"
    assert list(refused.value.fields) == [f"modifiers.{field}"]


@pytest.mark.parametrize(
    "broken", ["", "not json", "[]", "{}", '{"hedge_modifiers": {}}', "[" * 100_000]
)
def test_a_text_without_the_group_is_a_bad_file(broken) -> None:
    with pytest.raises(InvalidArgument, match="BAD_FILE"):
        imported(broken, HeatModel.LIQUIDATION)


def test_numbers_of_models_are_those_of_the_proto_and_no_other() -> None:
    assert [model_of(1), model_of(2)] == [HeatModel.LIQUIDATION, HeatModel.CLASSIC]
    with pytest.raises(InvalidArgument, match="BAD_MODIFIERS"):
        model_of(0)
    assert weights_of(GOOD) == HeatWeights()
