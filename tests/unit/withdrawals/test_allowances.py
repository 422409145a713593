"""Allowances: limits, what is taken, and sums that share one pool."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.withdrawals.decisions.domain.allowance import (
    Allowance,
    HoldingAllowance,
    KnownLimits,
    Limit,
    TakenRule,
    allowance_of,
    total_units,
)
from services.withdrawals.gains.domain.flows import Holding
from tests.unit.withdrawals.made_supply import HOME, OTHER, SCALE, flow, gains_of, sample

AMOUNTS = st.decimals(0, 10**9, places=6)
SIGNED = st.decimals(-(10**9), 10**9, places=6)


def allowed(
    gain: object = 10,
    taken: object = 0,
    position: object = 1010,
    pending: object = 0,
    known: KnownLimits = KnownLimits(),  # noqa: B008 - frozen
    c: str = "0.5",
    rule: TakenRule = TakenRule.ALL,
) -> Allowance:
    amounts = (Decimal(str(amount)) for amount in (gain, taken, position, pending))
    return allowance_of(*amounts, known, safety_factor=Decimal(c), taken_rule=rule, scale=SCALE)


@pytest.mark.parametrize(
    ("known", "units", "binding"),
    [
        ({}, "5", [Limit.GAIN]),
        ({"collateral_units": "4"}, "4", [Limit.COLLATERAL]),
        ({"liquidity_units": "3"}, "3", [Limit.LIQUIDITY]),
        ({"venue_cap_units": "2"}, "2", [Limit.VENUE_CAP]),
        ({"cap_units": "1"}, "1", [Limit.CAP]),
        ({"cap_units": "0"}, "0", [Limit.CAP]),
        ({"liquidity_units": "5"}, "5", [Limit.GAIN, Limit.LIQUIDITY]),
        ({"liquidity_units": "2", "cap_units": "2"}, "2", [Limit.LIQUIDITY, Limit.CAP]),
        ({"liquidity_units": "50", "cap_units": "60"}, "5", [Limit.GAIN]),
    ],
)
def test_the_smallest_limits_bind(known: dict, units: str, binding: list) -> None:
    found = allowed(known=KnownLimits(**{name: Decimal(to) for name, to in known.items()}))
    assert found.units == Decimal(units)
    assert list(found.binding) == binding


def test_what_is_pending_leaves_less_of_the_position() -> None:
    found = allowed(gain=2000, position=900, pending=200)
    assert (found.units, found.binding) == (700, (Limit.POSITION,))


def test_what_was_taken_is_used_up_unless_it_is_not_counted() -> None:
    assert allowed(taken=3).units == 2
    assert allowed(taken=30).units == 0
    assert allowed(taken=30, rule=TakenRule.NONE).units == 5


def test_a_part_of_the_smallest_unit_is_never_given() -> None:
    assert allowed(gain="0.000003").units == Decimal("0.000001")
    assert allowed(gain=1, c="0.3333333").units == Decimal("0.333333")


@given(SIGNED, AMOUNTS, AMOUNTS, AMOUNTS, st.sampled_from(["0.01", "0.5", "1"]))
def test_an_allowance_is_at_least_nothing_and_at_most_each_limit(
    gain: Decimal, taken: Decimal, position: Decimal, pending: Decimal, c: str
) -> None:
    found = allowed(gain, taken, position, pending, c=c)
    assert found.units >= 0
    assert found.binding
    for _, limit in found.limits:
        assert found.units <= max(Decimal(0), limit)


@pytest.mark.parametrize("is_sampled", [False, True])
def test_following_the_advice_again_and_again_never_reaches_principal(is_sampled: bool) -> None:
    """Each time all that is allowed is taken; nothing more grows."""
    samples = [sample(0, 1000), sample(1, 1010)]
    flows: list = []
    taken = Decimal(0)
    for turn in range(5):
        (gain,) = gains_of(samples, flows).holdings
        assert gain.gain_units == 10
        found = allowed(
            gain.gain_units,
            gain.sums.taken_units,
            gain.position_units,
            gain.sums.pending_withdrawal_units,
        )
        if turn:
            assert found.units == 0
            break
        taken += found.units
        flows.append(flow(2 + turn, -found.units))
        if is_sampled:
            samples.append(sample(3 + turn, 1010 - taken))
    assert taken == 5


def test_a_withdrawal_changes_the_allowance_once() -> None:
    samples = [sample(0, 1000), sample(1, 1020)]
    taken = [flow(1.5, -4)]
    seen = []
    for more in ([], [sample(2, 1016)], [sample(2, 1016), sample(3, 1016)]):
        (gain,) = gains_of(samples + more, taken).holdings
        seen.append(allowed(gain.gain_units, gain.sums.taken_units, gain.position_units).units)
    assert seen == [6, 6, 6]


def of_holding(holding: Holding, units: str | None) -> HoldingAllowance:
    if units is None:
        return HoldingAllowance(holding)
    return HoldingAllowance(holding, allowed(gain=Decimal(units) * 2, position=10**6))


def test_a_total_is_the_sum_and_no_more_than_the_pool_holds() -> None:
    both = [of_holding(HOME, "30"), of_holding(OTHER, "40")]
    assert total_units(both, {}) == 70
    assert total_units(both, {"DJED": Decimal(50)}) == 50
    apart = [of_holding(HOME, "30"), of_holding(Holding("addr1home", "WANUSDC"), "40")]
    assert total_units(apart, {"DJED": Decimal(20)}) == 60


def test_a_total_with_a_wallet_that_is_not_known_is_not_known() -> None:
    assert total_units([of_holding(HOME, "30"), of_holding(OTHER, None)], {}) is None
