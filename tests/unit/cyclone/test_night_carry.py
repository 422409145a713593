"""Funding and borrow of a night: what they cost, and when they alone bring a position too near."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cyclone.sleep.domain.facts import Carry, HeldPosition, Part
from services.cyclone.sleep.domain.night_carry import distance_after, night_carry
from services.cyclone.sleep.domain.verdicts import Verdict, reasons
from tests.unit.cyclone.test_sleep import BTC, GOOD, NOW

NEW = HeldPosition("NEW LONG in main", 12.5, None, is_stale=False, id="new")


@pytest.mark.parametrize(
    ("carry", "limit_percent", "expected", "said"),
    [
        (Carry(0.25, None), 10.0, Verdict.GREEN, "Funding and borrow of 8 h cost 2.00 USD"),
        (Carry(-0.25, None), 10.0, Verdict.GREEN, "Funding and borrow of 8 h earn 2.00 USD"),
        (Carry(None, None), 10.0, Verdict.GREEN, "Funding and borrow are not known"),
        # 12.5 % of 40 hours drift to 10.0 % in 8.
        (Carry(5.0, 40.0), 9.9, Verdict.GREEN, "BTC LONG in main goes from 12.50 to 10.00 % by"),
        (Carry(5.0, 40.0), 10.0, Verdict.AMBER, "bring to its limit of HIGH: BTC LONG in main"),
        # Below it already: carry is not what rings.
        (Carry(5.0, 40.0), 12.5, Verdict.GREEN, "BTC LONG in main goes from 12.50 to 10.00 % by"),
        (Carry(5.0, 8.0), 10.0, Verdict.RED, "of 8 h alone liquidate BTC LONG in main"),
    ],
)
def test_what_carry_makes_of_the_answer(
    carry: Carry, limit_percent: float, expected: Verdict, said: str
) -> None:
    facts = replace(GOOD, carries={"btc": carry}, distance_limits={"": limit_percent})
    found = {one.part: one for one in reasons(facts, NOW, 8)}[Part.PROBABILITY]
    assert found.verdict is expected
    assert said in found.message


def test_a_chance_that_is_not_known_hides_no_liquidation_by_funding() -> None:
    facts = replace(
        GOOD,
        positions=[BTC, NEW],
        judged_ids={"btc", "new"},
        distance_ids={"btc", "new"},
        carries={"new": Carry(900.0, 3.0)},
    )
    found = {one.part: one for one in reasons(facts, NOW, 8)}[Part.PROBABILITY]
    assert found.verdict is Verdict.RED
    assert found.message.startswith("Funding and borrow of 8 h alone liquidate NEW LONG")
    assert "The chance of liquidation is not known of NEW LONG" in found.message


@given(st.floats(0.01, 100), st.floats(0, 72), st.floats(0, 72), st.floats(0.1, 1000))
def test_more_hours_never_leave_more(
    distance_percent: float, hours: float, more: float, left: float
) -> None:
    sooner = distance_after(distance_percent, hours, left)
    later = distance_after(distance_percent, hours + more, left)
    assert 0 <= later <= sooner <= distance_percent


def test_what_is_not_known_is_counted_and_never_taken_for_nothing() -> None:
    found = night_carry([BTC, NEW], {"btc": Carry(1.0, None)}, {}, 8)
    assert (found.cost_usd, found.unknown_count) == (8.0, 1)
    assert night_carry([BTC], {}, {}, 8).cost_usd is None
