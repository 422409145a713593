"""Flows and the samples that show them: in time, late, pending, or never."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from services.withdrawals.gains.domain.evaluation import GainRules, HoldingGain
from services.withdrawals.gains.domain.matching import FlowState
from tests.unit.withdrawals.made_supply import at, dec, flow, gains_of, sample


def gain_of(units: list[object], flows: list, reference_hour: float = 0, **more: object):
    """One holding sampled every hour from 0 on; None leaves the hour out."""
    samples = [sample(hour, held) for hour, held in enumerate(units) if held is not None]
    (gain,) = gains_of(samples, flows, reference_hour, **more).holdings
    return gain


def state(gain: HoldingGain) -> list[tuple[FlowState, int]]:
    return [(one.state, one.row) for one in gain.placed]


def test_a_flow_whose_change_shows_one_sample_later_belongs_to_that_interval() -> None:
    gain = gain_of([1000, 1001, 1002, 1503, 1504], [flow(1.5, 500)])
    assert state(gain) == [(FlowState.LAGGED, 3)]
    assert gain.gain_units == 4


def test_between_its_time_and_its_change_a_late_flow_makes_no_dent() -> None:
    samples = [sample(hour, held) for hour, held in enumerate([1000, 1001, 1002, 1503])]
    (series,) = gains_of(samples, [flow(1.5, 500)]).series
    assert series.gain_units.tolist() == [0, 1_000_000, 2_000_000, 3_000_000]


@pytest.mark.parametrize(("minutes", "wanted"), [(95, 4), (90, 3), (85, 3)])
def test_two_samples_later_counts_while_the_lag_runs(minutes: int, wanted: int) -> None:
    units = [1000, 1001, 1002, 1003, 1504]
    rules = GainRules(flow_lag=timedelta(minutes=minutes))
    gain = gain_of(units, [flow(1.5, 500)], rules=rules)
    is_found = wanted == 4
    # Unmatched, it stays in the interval of its time.
    assert state(gain) == [
        (FlowState.LAGGED, 4) if is_found else (FlowState.UNMATCHED, 2),
    ]
    assert gain.gain_units == 4


def test_three_samples_later_is_too_late_whatever_the_lag() -> None:
    rules = GainRules(flow_lag=timedelta(days=1))
    gain = gain_of([1000, 1001, 1002, 1003, 1004, 1505], [flow(1.5, 500)], rules=rules)
    assert state(gain) == [(FlowState.UNMATCHED, 2)]


def test_without_a_lag_nothing_is_matched_late() -> None:
    rules = GainRules(flow_lag=timedelta(0))
    gain = gain_of([1000, 1001, 1002, 1503], [flow(1.5, 500)], rules=rules)
    assert state(gain) == [(FlowState.UNMATCHED, 2)]


@pytest.mark.parametrize(
    ("change", "wanted"), [(509, FlowState.LAGGED), (520, FlowState.UNMATCHED)]
)
def test_a_later_change_explains_a_flow_within_two_percent(
    change: float, wanted: FlowState
) -> None:
    gain = gain_of([1000, 1001, 1002, 1002 + change], [flow(1.5, 500)])
    assert state(gain)[0][0] is wanted


def test_an_unmatched_flow_is_named_and_never_moved() -> None:
    gain = gain_of([1000, 1001, 1002, 1003, 1004], [flow(1.5, -500, tx_id="lost")])
    assert state(gain) == [(FlowState.UNMATCHED, 2)]
    assert gain.check is not None and gain.check.holds
    assert [fault.flow.tx_id for fault in gain.check.faults if fault.flow] == ["lost"]


def test_a_flow_before_the_base_that_shows_after_it_belongs_there() -> None:
    gain = gain_of([1000, 1001, 902, 903], [flow(0.8, -100)], reference_hour=0.8)
    assert gain.base_time == at(1)
    assert state(gain) == [(FlowState.LAGGED, 2)]
    assert gain.gain_units == 2
    # Its own time is not after the base: it is the reference, not an advice followed.
    assert gain.sums.taken_units == 0


def test_a_flow_before_the_very_first_sample_can_show_after_it() -> None:
    gain = gain_of([1000, 901, 902, 903], [flow(-0.3, -100)])
    assert state(gain) == [(FlowState.LAGGED, 1)]
    assert gain.gain_units == 3


def test_of_flows_before_the_very_first_sample_the_later_one_may_show_after_it() -> None:
    gain = gain_of([1000, 901, 902, 903], [flow(-0.6, 700), flow(-0.3, -100)])
    assert state(gain) == [(FlowState.IN_TIME, 0), (FlowState.LAGGED, 1)]
    assert gain.gain_units == 3


def test_a_flow_before_the_very_first_sample_is_neutral_when_nothing_shows_after_it() -> None:
    gain = gain_of([1000, 1001, 1002], [flow(-0.3, -100)])
    assert state(gain) == [(FlowState.IN_TIME, 0)]
    assert gain.gain_units == 2
    assert gain.check is not None and not gain.check.faults


def test_a_flow_that_the_last_sample_does_not_show_yet_is_pending() -> None:
    gain = gain_of([1000, 1001, 1002, 1003], [flow(2.5, -500)])
    assert state(gain) == [(FlowState.PENDING, 4)]
    assert gain.gain_units == 3
    assert gain.sums.pending_withdrawal_units == 500 == gain.sums.taken_units


def test_a_flow_that_the_last_sample_should_have_shown_is_unmatched() -> None:
    gain = gain_of([1000, 1001, 1002, 1003], [flow(0.5, -500)])
    assert state(gain) == [(FlowState.UNMATCHED, 1)]


def test_of_two_flows_in_an_interval_the_later_one_may_show_later() -> None:
    flows = [flow(1.2, 300), flow(1.8, -100)]
    gain = gain_of([1000, 1001, 1302, 1203, 1204], flows)
    assert state(gain) == [(FlowState.IN_TIME, 2), (FlowState.LAGGED, 3)]
    assert gain.gain_units == 4


def test_a_late_flow_and_one_in_time_share_an_interval() -> None:
    flows = [flow(1.5, 300), flow(2.5, 200)]
    gain = gain_of([1000, 1001, 1002, 1503, 1504], flows)
    assert state(gain) == [(FlowState.LAGGED, 3), (FlowState.IN_TIME, 3)]


def test_late_flows_in_a_row_keep_their_order() -> None:
    flows = [flow(1.5, 300), flow(2.5, 200)]
    gain = gain_of([1000, 1001, 1002, 1303, 1504, 1505], flows)
    assert state(gain) == [(FlowState.LAGGED, 3), (FlowState.LAGGED, 4)]
    assert gain.gain_units == 5


def test_a_flow_smaller_than_the_growth_stays_in_its_own_interval() -> None:
    growing = [1_000_000 + 10 * hour for hour in range(6)]
    units = [*growing[:3], *(held + 5 for held in growing[3:])]
    gain = gain_of(units, [flow(2.5, 5)])
    assert state(gain) == [(FlowState.IN_TIME, 3)]


def test_a_missing_sample_moves_a_flow_to_the_interval_that_is_there() -> None:
    gain = gain_of([1000, 1001, None, 1503, 1504], [flow(1.5, 500)])
    assert state(gain) == [(FlowState.IN_TIME, 2)]
    assert gain.gain_units == 4


def test_a_small_late_flow_beside_a_large_one_is_found_by_the_better_fit() -> None:
    flows = [flow(1.2, 6000), flow(1.8, -100)]
    gain = gain_of([1000, 1001, 7002, 6903, 6904], flows)
    assert state(gain) == [(FlowState.IN_TIME, 2), (FlowState.LAGGED, 3)]
    assert gain.gain_units == 4


def test_a_small_flow_beside_a_large_one_stays_where_its_receipts_moved() -> None:
    # The large one grew by more than the small one is, before the sample came.
    told = [(0, 0, 1.0), (0, 0, 1.0), (10_001, 9999, 1.0002), (10_001, 9999, 1.0002)]
    samples = [
        replace(sample(hour, units), receipt_units=dec(receipts), exchange_rate=rate)
        for hour, (units, receipts, rate) in enumerate(told)
    ]
    flows = [
        flow(1.2, 10_000, receipt_units=dec(10_000), exchange_rate=dec(1)),
        flow(1.8, -1, receipt_units=dec(1), exchange_rate=dec(1)),
    ]
    (gain,) = gains_of(samples, flows).holdings
    assert state(gain) == [(FlowState.IN_TIME, 2), (FlowState.IN_TIME, 2)]


def test_an_unmatched_flow_before_the_base_is_not_named() -> None:
    gain = gain_of([1000, 1001, 1002, 1003, 1004], [flow(0.5, -500)], reference_hour=3)
    assert state(gain) == [(FlowState.UNMATCHED, 1)]
    assert gain.check is not None and not gain.check.holds


def test_what_moved_since_the_base_is_summed_by_where_it_shows() -> None:
    flows = [flow(0.5, 40), flow(1.5, 300), flow(2.5, -100), flow(9, 7), flow(9.5, -3)]
    gain = gain_of([1000, 1041, 1342, 1243], flows, reference_hour=1)
    sums = gain.sums
    assert (sums.deposit_units, sums.withdrawal_units) == (300, 100)
    assert (sums.pending_deposit_units, sums.pending_withdrawal_units) == (7, 3)
    assert sums.taken_units == 103


def test_receipts_show_a_flow_that_the_growth_would_hide() -> None:
    # Units alone could not tell: the rate jumps by as much as the flow in the same hour.
    told = [(1000, 1000, 1.0), (1000, 1000, 1.0), (1200, 1000, 1.2), (1440, 1200, 1.2)]
    samples = [
        replace(sample(hour, units), receipt_units=dec(receipts), exchange_rate=rate)
        for hour, (units, receipts, rate) in enumerate(told)
    ]
    given = flow(1.5, 240, receipt_units=dec(200), exchange_rate=Decimal("1.2"))
    (gain,) = gains_of(samples, [given]).holdings
    assert state(gain) == [(FlowState.LAGGED, 3)]
    assert gain.gain_units == 200
