"""The modifiers and their JSON form."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.hedges.domain.modifiers import Modifiers, exported, imported
from shared.errors import InvalidArgument

GOOD = {"fee_percentage": 0.1, "target_margin": 50, "adjustment_factor": 2}


def test_the_defaults_are_those_of_the_domain_page() -> None:
    assert json.loads(exported(Modifiers())) == {
        "hedge_modifiers": {"fee_percentage": 0.234, "target_margin": 60, "adjustment_factor": 1}
    }


PARTS = st.floats(0, 100, exclude_min=True)


@given(st.floats(0, 10), PARTS, PARTS)
def test_what_is_exported_is_imported_as_it_was(fee: float, margin: float, factor: float) -> None:
    there = Modifiers(fee, margin, factor)
    assert imported(exported(there)) == (there, [])


def test_groups_of_others_are_left_alone_and_named() -> None:
    content = json.dumps({"heat_modifiers": {"distance": 0.6}, "hedge_modifiers": GOOD})
    assert imported(content) == (Modifiers(0.1, 50, 2), ["heat_modifiers"])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "MODIFIERS_NOT_JSON"),
        ("{", "MODIFIERS_NOT_JSON"),
        ("[]", "MODIFIERS_NOT_JSON"),
        ("[" * 60_000, "MODIFIERS_NOT_JSON"),
        ('{"hedge_modifiers": 3}', "MODIFIERS_NOT_JSON"),
        ('{"hedge_modifiers": {"target_margin": 1, "target_margin": 2}}', "MODIFIERS_NOT_JSON"),
        ('{"hedge_modifier": {}}', "MODIFIER_GROUP_MISSING"),
        ('{"hedge_modifiers": {"fee_percentage": 1, "target_margin": 1}}', "MODIFIER_MISSING"),
        (json.dumps({"hedge_modifiers": GOOD | {"factor": 1}}), "MODIFIER_UNKNOWN"),
        (json.dumps({"hedge_modifiers": GOOD | {"target_margin": "60"}}), "MODIFIER_NOT_A_NUMBER"),
        (json.dumps({"hedge_modifiers": GOOD | {"target_margin": True}}), "MODIFIER_NOT_A_NUMBER"),
        (json.dumps({"hedge_modifiers": GOOD | {"target_margin": None}}), "MODIFIER_NOT_A_NUMBER"),
        (json.dumps({"hedge_modifiers": GOOD | {"target_margin": -0.1}}), "MODIFIER_NEGATIVE"),
        (json.dumps({"hedge_modifiers": GOOD | {"target_margin": float("nan")}}), "NOT_FINITE"),
        (
            json.dumps({"hedge_modifiers": GOOD | {"fee_percentage": 0.5}}).replace("0.5", "1e999"),
            "NOT_FINITE",
        ),
        (json.dumps({"hedge_modifiers": GOOD | {"target_margin": 10**400}}), "NOT_FINITE"),
        (json.dumps({"hedge_modifiers": GOOD | {"fee_percentage": 10.1}}), "MODIFIER_OUT_OF_RANGE"),
        (json.dumps({"hedge_modifiers": GOOD | {"adjustment_factor": 0}}), "MODIFIER_OUT_OF_RANGE"),
    ],
)
def test_what_is_wrong_is_refused_by_its_name(content: str, reason: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        imported(content)
    assert refused.value.reason == reason


@pytest.mark.parametrize("number", [0, 1e300, 100.1])
def test_a_number_out_of_range_is_told_with_its_field_and_range(number: float) -> None:
    with pytest.raises(InvalidArgument, match="needs above 0 and at most 100") as refused:
        imported(json.dumps({"hedge_modifiers": GOOD | {"target_margin": number}}))
    assert refused.value.reason == "MODIFIER_OUT_OF_RANGE"
    assert list(refused.value.fields) == ["hedge_modifiers.target_margin"]


def test_the_etag_changes_with_every_edit_and_only_then() -> None:
    assert Modifiers().etag == Modifiers().etag
    assert (
        len(
            {
                Modifiers().etag,
                Modifiers(1).etag,
                Modifiers(0.234, 1).etag,
                Modifiers(0.234, 60, 2).etag,
            }
        )
        == 4
    )


def test_the_fee_is_a_share_of_the_change_in_either_direction() -> None:
    assert Modifiers(0.234).fee_usd(-1000) == pytest.approx(2.34)
