"""Samples: what counts, what is left out and why, how long an absent wallet is carried."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest

from services.withdrawals.gains.domain.evaluation import HoldingState
from services.withdrawals.gains.domain.exact import UnitScale
from services.withdrawals.gains.domain.samples import (
    LeftOutReason,
    SampleColumns,
    clean_samples,
)
from services.withdrawals.gains.domain.total_series import total_series
from shared.errors import InvalidArgument
from tests.unit.withdrawals.made_supply import (
    HOME,
    OTHER,
    SCALE,
    at,
    dec,
    flow,
    gains_of,
    sample,
)


def cleaned(*samples: object):
    return clean_samples(SampleColumns.of(samples, SCALE))


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (sample(1, None), LeftOutReason.MISSING_UNITS),
        (sample(1, -1), LeftOutReason.NEGATIVE_UNITS),
        (sample(1, 1000, None), LeftOutReason.MISSING_PRICE),
        (sample(1, 1000, 0.0), LeftOutReason.BAD_PRICE),
        (sample(1, 1000, float("inf")), LeftOutReason.BAD_PRICE),
        (sample(1, None, None), LeftOutReason.MISSING_UNITS),
    ],
)
def test_a_sample_that_cannot_count_is_left_out_with_its_reason(
    bad: object, reason: LeftOutReason
) -> None:
    found = cleaned(sample(0, 1000), bad, sample(2, 1002))
    assert len(found.columns) == 2
    assert found.left_out.row.tolist() == [1]
    assert found.left_out.counts() == {reason: 1}


def test_a_position_of_nothing_counts() -> None:
    assert len(cleaned(sample(0, 0)).columns) == 1


def test_the_same_sample_told_twice_counts_once() -> None:
    found = cleaned(sample(0, 1000), sample(1, 1001), sample(1, 1001))
    assert found.columns.units.tolist() == [1_000_000_000, 1_001_000_000]
    assert found.left_out.counts() == {LeftOutReason.DUPLICATE: 1}


def test_of_samples_told_twice_the_one_with_receipts_counts() -> None:
    full = replace(sample(1, 1001), receipt_units=dec(10), exchange_rate=100.1)
    half = replace(full, receipt_units=None)
    for order in ([full, sample(1, 1001)], [sample(1, 1001), full], [half, full], [full, half]):
        found = cleaned(*order)
        assert found.columns.receipt_units.tolist() == [10_000_000]


def test_two_different_samples_of_one_instant_are_both_left_out() -> None:
    found = cleaned(sample(0, 1000), sample(1, 1001), sample(1, 1500), sample(2, 1002))
    assert found.columns.units.tolist() == [1_000_000_000, 1_002_000_000]
    assert found.left_out.counts() == {LeftOutReason.CONFLICTING: 2}
    assert found.left_out.row.tolist() == [1, 2]


def test_the_same_instant_of_two_wallets_is_no_conflict() -> None:
    found = cleaned(sample(0, 1000), sample(0, 2000, holding=OTHER))
    assert [len(found.of_holding(holding)) for holding in (HOME, OTHER)] == [1, 1]


def test_naive_times_are_refused() -> None:
    naive = datetime(2026, 11, 1)
    with pytest.raises(InvalidArgument):
        SampleColumns.of([replace(sample(0, 1), time=naive)], SCALE)
    with pytest.raises(InvalidArgument):
        replace(flow(0, 1), time=naive)


def test_units_are_exact_to_the_smallest_one_and_rounded_below_it() -> None:
    assert SCALE.smallest(Decimal("1000.123456")) == 1_000_123_456
    assert SCALE.tokens(1_000_123_456) == Decimal("1000.123456")
    assert SCALE.smallest(Decimal("0.0000025")) == 2
    assert SCALE.rounded_down(Decimal("0.0000029")) == Decimal("0.000002")
    assert str(SCALE.tokens(100_000_000)) == "100"
    for wrong in (Decimal("NaN"), Decimal("1e20")):
        with pytest.raises(InvalidArgument):
            SCALE.smallest(wrong)
    with pytest.raises(InvalidArgument):
        UnitScale(19)


def test_a_wallet_absent_from_a_snapshot_is_carried_forward_up_to_an_age() -> None:
    def state_after(hours: int):
        samples = [sample(hour, 1000 + hour) for hour in range(hours + 2)]
        absent = [sample(0, 500, holding=OTHER), sample(1, 501, holding=OTHER)]
        return gains_of([*samples, *absent]).holdings[1]

    assert state_after(3).state is HoldingState.SAMPLED
    assert state_after(3).carried == timedelta(hours=3)
    assert state_after(3).gain_units == 1
    assert state_after(4).state is HoldingState.NO_DATA
    assert state_after(4).gain_units is None and state_after(4).position_units is None


def test_a_total_carries_an_absent_wallet_and_leaves_out_what_is_too_old() -> None:
    samples = [sample(hour, 1000 + hour) for hour in range(12)]
    samples += [sample(hour, 500 + hour, holding=OTHER) for hour in (0, 1, 8, 11)]
    total = total_series(gains_of(samples).series)
    hours = [round((micros - total.time_micros[0]) / 3.6e9) for micros in total.time_micros]
    assert hours == [0, 1, 2, 3, 4, 8, 9, 10, 11]
    assert (total.units / 1e6).tolist() == [
        *(1500, 1502, 1503, 1504, 1505),
        *(1516, 1517, 1518, 1522),
    ]


def test_a_wallet_that_comes_later_makes_no_step_in_the_corrected_total() -> None:
    samples = [sample(hour, 1000 + hour) for hour in range(5)]
    samples += [sample(hour, 500 + 2 * hour, holding=OTHER) for hour in (3, 4)]
    total = total_series(gains_of(samples).series)
    assert (total.corrected_units / 1e6).tolist() == [1506, 1507, 1508, 1509, 1512]
    assert (total.gain_units / 1e6).tolist() == [0, 1, 2, 3, 6]
    assert (total.units / 1e6).tolist() == [1000, 1001, 1002, 1509, 1512]


def test_a_total_of_nothing_is_empty() -> None:
    assert len(total_series([])) == 0


def test_zones_do_not_matter() -> None:
    zone = timezone(timedelta(hours=-9, minutes=-30))
    samples = [sample(hour, 1000 + hour) for hour in range(3)]
    shifted = [replace(one, time=one.time.astimezone(zone)) for one in samples]
    assert gains_of(samples).holdings == gains_of(shifted).holdings


def test_what_is_later_than_the_evaluation_does_not_exist_yet() -> None:
    samples = [sample(hour, 1000 + hour) for hour in range(5)]
    gains = gains_of([*samples, sample(6, None)], [flow(3, -100)], as_of_hour=2)
    assert not len(gains.left_out.row)
    (gain,) = gains.holdings
    assert gain.gain_units == 2 and gain.end_time == at(2)
    assert gain.sums.taken_units == 0
    assert gains.snapshot_time == at(2)
