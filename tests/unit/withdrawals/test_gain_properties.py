"""Gains whatever the history: splitting, shuffling and zones change nothing; a year is quick."""

from __future__ import annotations

import random
import time
from dataclasses import replace
from datetime import timedelta, timezone
from decimal import Decimal

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from services.withdrawals.gains.domain.evaluation import (
    AssetGains,
    GainRules,
    HoldingGain,
    evaluate_gains,
)
from services.withdrawals.gains.domain.exact import exact_micros
from services.withdrawals.gains.domain.flows import Flow, FlowKind, Holding
from services.withdrawals.gains.domain.samples import SampleColumns
from services.withdrawals.gains.domain.total_series import total_series
from tests.unit.withdrawals.made_supply import (
    HOME,
    OTHER,
    START,
    WHOLE,
    History,
    at,
    dec,
    gains_of,
    random_history,
    since,
)

SEEDS = st.integers(0, 10_000)


def said(gain: HoldingGain) -> tuple:
    """What a person is told; the flows themselves may be cut differently."""
    check = gain.check
    gains = None if check is None else (check.agreement, check.faults, check.lacks)
    return (
        *(gain.holding, gain.state, gain.reference, gain.base_time, gain.end_time),
        *(gain.gain_units, gain.position_units, gain.base_price_usd, gain.sums),
        *(gains, check and check.by_flows),
    )


def lagging(history: History, chance: random.Random) -> History:
    """The same with some flows told a little early, so that lag matching has work."""
    flows = [
        replace(one, time=one.time - timedelta(minutes=chance.choice([0, 0, 50])))
        for one in history.flows
    ]
    return History(history.samples, flows, history.reference_hour)


def split(one: Flow, chance: random.Random) -> list[Flow]:
    """The flow in two of its instant: units and receipts cut where both are whole."""
    part = dec(chance.randint(1, 99)) / 100
    assert one.receipt_units is not None and one.exchange_rate is not None
    first = (one.units * part).quantize(Decimal("1e-6"))
    receipts = (one.receipt_units * part).quantize(Decimal("1e-6"))
    if not (0 < first < one.units and 0 < receipts < one.receipt_units):
        return [one]
    return [
        replace(one, units=first, receipt_units=receipts),
        replace(
            one,
            tx_id=f"{one.tx_id}b",
            units=one.units - first,
            receipt_units=one.receipt_units - receipts,
        ),
    ]


@given(SEEDS)
def test_splitting_a_flow_in_two_changes_nothing(seed: int) -> None:
    chance = random.Random(seed)
    history = lagging(random_history(seed), chance)
    parts = [part for one in history.flows for part in split(one, chance)]
    cut = History(history.samples, parts, history.reference_hour)
    (before,), (after,) = history.evaluate().holdings, cut.evaluate().holdings
    assert after.gain_units == before.gain_units
    assert (after.sums, after.base_time) == (before.sums, before.base_time)
    assert {one.row for one in after.placed} == {one.row for one in before.placed}


@given(SEEDS)
def test_the_order_of_samples_and_flows_changes_nothing(seed: int) -> None:
    chance = random.Random(seed)
    home, other = random_history(seed, HOME), random_history(seed + 1, OTHER)
    samples, flows = [*home.samples, *other.samples], [*home.flows, *other.flows]
    told = gains_of(samples, flows, home.reference_hour, facts=WHOLE)
    chance.shuffle(samples)
    chance.shuffle(flows)
    again = gains_of(samples, flows, home.reference_hour, facts=WHOLE)
    assert again.holdings == told.holdings
    assert (again.price_usd, again.snapshot_time) == (told.price_usd, told.snapshot_time)
    assert same_total(again, told)


def same_total(one: AssetGains, other: AssetGains) -> bool:
    first, second = total_series(one.series), total_series(other.series[::-1])
    return all(
        np.array_equal(getattr(first, name), getattr(second, name))
        for name in ("time_micros", "units", "gain_units", "corrected_units", "price_usd")
    )


@given(SEEDS, st.integers(-12 * 60, 14 * 60))
def test_the_zone_that_times_are_told_in_changes_nothing(seed: int, minutes: int) -> None:
    zone = timezone(timedelta(minutes=minutes))
    history = random_history(seed)
    moved = History(
        [replace(one, time=one.time.astimezone(zone)) for one in history.samples],
        [replace(one, time=one.time.astimezone(zone)) for one in history.flows],
        history.reference_hour,
    )
    assert moved.evaluate().holdings == history.evaluate().holdings


@given(SEEDS, st.integers(-2000, 2000))
def test_moving_everything_in_time_changes_no_gain(seed: int, hours: int) -> None:
    shift = timedelta(hours=hours)
    history = random_history(seed)
    moved = gains_of(
        [replace(one, time=one.time + shift) for one in history.samples],
        [replace(one, time=one.time + shift) for one in history.flows],
        history.reference_hour + hours,
        facts=WHOLE,
    ).holdings[0]
    still = history.evaluate().holdings[0]
    assert (moved.gain_units, moved.sums) == (still.gain_units, still.sums)


@given(SEEDS)
def test_the_gain_is_exactly_what_no_flow_explains(seed: int) -> None:
    history = random_history(seed)
    (gain,) = history.evaluate().holdings
    assert gain.gain_units is not None and gain.base_time is not None
    by_time = sorted(history.samples, key=lambda one: one.time)
    base = next(one for one in by_time if one.time >= at(history.reference_hour))
    net = sum(
        one.sign * one.units for one in history.flows if base.time < one.time <= by_time[-1].time
    )
    assert gain.gain_units == (by_time[-1].units or 0) - (base.units or 0) - net


@settings(max_examples=20)
@given(SEEDS)
def test_a_lag_within_its_limit_changes_no_gain(seed: int) -> None:
    """Hourly samples that show every flow in its order, up to two hours late: the same gain."""
    chance = random.Random(seed)
    held = Decimal(10_000)
    flows, held_at = [], []
    moves = {hour: chance.choice([-500, 700, 900]) for hour in chance.sample(range(3, 40, 3), 6)}
    for hour in range(45):
        held += Decimal("0.05") + moves.get(hour, 0)
        held_at.append(held)
    for hour, moved in moves.items():
        kind = FlowKind.DEPOSIT if moved > 0 else FlowKind.WITHDRAWAL
        told = at(hour - chance.choice([0, 0.4, 0.9, 1.2, 1.9]))
        flows.append(Flow(kind, HOME, f"tx{hour}", told, dec(abs(moved))))
    columns = SampleColumns(
        (HOME,),
        np.zeros(45, np.int64),
        np.array([exact_micros(at(hour)) for hour in range(45)]),
        np.array([int(units * 10**6) for units in held_at]),
        np.ones(45),
        np.full(45, np.iinfo(np.int64).min),
        np.full(45, np.nan),
    )
    gains = evaluate_gains(columns, flows, since(0), GainRules(), at(100))
    assert gains.holdings[0].gain_units == Decimal("0.05") * 44
    assert not gains.holdings[0].check.faults


@given(SEEDS)
def test_from_the_last_sample_on_nothing_was_gained_yet(seed: int) -> None:
    history = random_history(seed)
    last = max(one.time for one in history.samples)
    hour = (last - START) / timedelta(hours=1)
    (gain,) = History(history.samples, history.flows, hour).evaluate().holdings
    assert gain.gain_units == 0 and gain.base_time == gain.end_time == last
    assert gain.check is not None and not gain.check.holds


def year_of_hourly_samples(wallets: int, hours: int) -> tuple[SampleColumns, list[Flow]]:
    """Every wallet with 20 deposits, receipts and rates told."""
    chance = np.random.default_rng(7)
    holdings = tuple(Holding(f"addr1wallet{one:02}", "DJED") for one in range(wallets))
    rate = np.round(0.02 * np.cumprod(1 + chance.uniform(0, 2e-5, hours)), 10)
    flows, receipts = [], []
    for holding in holdings:
        held = np.full(hours, 5 * 10**10)
        rows = [0, *chance.choice(np.arange(1, hours - 2), 20, replace=False)]
        for row in rows:
            moved = 5 * 10**10 if row == 0 else 10**9
            held[row:] += 0 if row == 0 else moved
            flows.append(
                Flow(
                    FlowKind.DEPOSIT,
                    holding,
                    f"{holding.wallet}-{row}",
                    at(float(row) - 0.5),
                    (dec(moved) * dec(float(rate[row])) / 10**6).quantize(Decimal("1e-6")),
                    receipt_units=dec(moved) / 10**6,
                    exchange_rate=dec(float(rate[row])),
                )
            )
        receipts.append(held)
    held = np.concatenate(receipts)
    every = np.tile(rate, wallets)
    time_micros = exact_micros(START) + np.arange(hours) * 3_600_000_000
    return (
        SampleColumns(
            holdings,
            np.repeat(np.arange(wallets), hours),
            np.tile(time_micros, wallets),
            np.round(held * every).astype(np.int64),
            np.ones(wallets * hours),
            held,
            every,
        ),
        flows,
    )


def test_a_year_of_twenty_wallets_is_evaluated_in_a_fraction_of_a_second() -> None:
    columns, flows = year_of_hourly_samples(wallets=20, hours=8760)
    facts = dict.fromkeys(columns.holdings, WHOLE)
    best = float("inf")
    for _ in range(3):
        begun = time.process_time()
        gains = evaluate_gains(columns, flows, since(100), GainRules(), at(9000), facts=facts)
        total = total_series(gains.series)
        best = min(best, time.process_time() - begun)
        assert len(total) == 8660
        assert not [gain for gain in gains.holdings if gain.check is None or gain.check.holds]
    # Four assets have a second together; an asset takes some 50 ms.
    assert best < 0.25
