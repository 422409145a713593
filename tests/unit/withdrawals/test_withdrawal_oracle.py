"""Gains and allowances: every case of the oracle, and the golden one of the first tool."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest

from services.withdrawals.decisions.domain.allowance import (
    Allowance,
    KnownLimits,
    TakenRule,
    allowance_of,
)
from services.withdrawals.gains.domain.evaluation import (
    AssetGains,
    GainRules,
    HoldingGain,
    HoldingState,
    evaluate_gains,
)
from services.withdrawals.gains.domain.exact import exact_micros
from services.withdrawals.gains.domain.flows import Flow, FlowKind
from services.withdrawals.gains.domain.references import ReferenceEvent
from services.withdrawals.gains.domain.samples import SampleColumns, SupplySample
from tests.unit.withdrawals.made_supply import (
    GOLDEN,
    HOME,
    ORACLE,
    SCALE,
    at,
    dec,
    flow,
    gains_of,
    sample,
)

CASES = [case for case in ORACLE["gains"] if case["expected"] is not None]


def evaluated(case: dict) -> AssetGains:
    samples = [sample(hour, units) for hour, units in case["samples"]]
    flows = [flow(hour, units) for hour, units in case["flows"]]
    return gains_of(samples, flows, case["t0_hour"])


def allowed(gain: HoldingGain, case: dict, rule: TakenRule = TakenRule.ALL) -> Allowance:
    assert gain.gain_units is not None and gain.position_units is not None
    known = KnownLimits(
        liquidity_units=dec(case["liquidity"]) if "liquidity" in case else None,
        cap_units=dec(case["cap"]) if "cap" in case else None,
    )
    return allowance_of(
        gain.gain_units,
        gain.sums.taken_units,
        gain.position_units,
        gain.sums.pending_withdrawal_units,
        known,
        safety_factor=dec(case["c"]),
        taken_rule=rule,
        scale=SCALE,
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_gains_are_those_of_the_oracle_to_the_last_digit(case: dict) -> None:
    gains = evaluated(case)
    wanted = case["expected"]
    series = gains.series[0]
    assert gains.holdings[0].base_time == at(wanted["t0_base_hour"])
    assert [
        (int(micros), SCALE.tokens(units))
        for micros, units in zip(series.time_micros, series.gain_units, strict=True)
    ] == [(exact_micros(at(hour)), dec(units)) for hour, units in wanted["gain_units"]]
    sums = gains.holdings[0].sums
    assert sums.pending_deposit_units == dec(wanted["pending_deposit_units"])
    assert sums.pending_withdrawal_units == dec(wanted["pending_withdrawal_units"])
    assert sums.taken_units == dec(case["taken_units"])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_allowances_and_binding_limits_are_those_of_the_oracle(case: dict) -> None:
    found = allowed(evaluated(case).holdings[0], case)
    assert found.units == dec(case["allowance"]["allowance_units"])
    assert list(found.binding) == case["allowance"]["binding"]


def test_with_no_sample_since_the_reference_there_is_no_gain() -> None:
    (case,) = (case for case in ORACLE["gains"] if case["expected"] is None)
    (gain,) = evaluated(case).holdings
    assert gain.state is HoldingState.NO_DATA
    assert gain.gain_units is None


def test_the_golden_case_of_the_first_tool() -> None:
    def moved(kind: FlowKind, rows: list) -> list[Flow]:
        return [
            Flow(kind, HOME, f"{kind}{time}", datetime.fromisoformat(time), dec(units))
            for time, units in rows
        ]

    samples = [
        SupplySample(HOME, datetime.fromisoformat(time), dec(units), 1.0)
        for time, units in GOLDEN["series"]
    ]
    gains = evaluate_gains(
        SampleColumns.of(samples, SCALE),
        moved(FlowKind.DEPOSIT, GOLDEN["deposits"])
        + moved(FlowKind.WITHDRAWAL, GOLDEN["withdrawals"]),
        [ReferenceEvent(datetime.fromisoformat(GOLDEN["t0"]))],
        GainRules(),
        samples[-1].time,
    )
    wanted = GOLDEN["expected"]
    (gain,) = gains.holdings
    assert gain.gain_units == dec(wanted["G"])
    none = allowed(gain, {"c": 0.5}, TakenRule.NONE)
    assert none.units == dec(wanted["W_max_c_0_5_taken_NONE"])
    assert allowed(gain, {"c": 0.5}).units == Decimal(wanted["W_max_c_0_5_taken_ALL"])
