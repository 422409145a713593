"""How a venue stands by what its answers show, and what is remembered of that."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sonic.positions.v1 import positions_pb2 as pb

from services.monitor.checks.venue import remembered, stored
from services.monitor.clients.venues import readings
from services.monitor.domain.venues import (
    FrozenMark,
    VenueMarket,
    VenueMemory,
    VenueReading,
    VenueState,
    frozen_marks,
    judge,
    nearest_percent,
)
from shared import columns
from tests.fakes.examples import share_of

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SOL = VenueMarket("SOL", 2, 0, False, 100.0, NOW, 80.0, 120.0)
WELL = VenueReading("dydx", 2, {}, 0, (SOL,))
PRICES = {"SOL": 100.0}


def of(**changes: object) -> VenueReading:
    """The venue with another market of SOL."""
    return replace(WELL, markets=(replace(SOL, **changes),))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("reading", "prices", "state", "words"),
    [
        (WELL, PRICES, VenueState.OK, ""),
        (of(mark_price_usd=100.9), PRICES, VenueState.OK, ""),
        (of(mark_price_usd=101.1), PRICES, VenueState.DEGRADED, "+1.10 % from the market"),
        (of(mark_price_usd=98.9), PRICES, VenueState.DEGRADED, "-1.10 % from the market"),
        (of(halted=True), PRICES, VenueState.DOWN, "trading is halted: SOL"),
        (of(mark_time=NOW - 4 * MINUTE), PRICES, VenueState.DEGRADED, "last answer is of 02:56"),
        (replace(WELL, failures={"a": "TIMEOUT"}), PRICES, VenueState.DEGRADED, "1 of 2 wallets"),
        (WELL, {}, VenueState.UNKNOWN, "no usable market price of SOL"),
        (of(mark_price_usd=None), PRICES, VenueState.UNKNOWN, "no mark of SOL"),
        (replace(WELL, markets=()), PRICES, VenueState.UNKNOWN, "no positions there"),
        (replace(WELL, unasked_count=1), PRICES, VenueState.UNKNOWN, "not looked at yet"),
    ],
)
def test_each_evidence_alone_turns_the_state(
    reading: VenueReading, prices: dict[str, float], state: VenueState, words: str
) -> None:
    found = judge(reading, prices, None, NOW)
    assert found.state is state
    assert words in "; ".join(found.evidence)


def test_a_mark_stands_still_only_when_it_was_looked_at_again_and_the_market_moved() -> None:
    first = judge(WELL, PRICES, None, NOW)
    moved = {"SOL": 99.5}

    def later(minutes: int, prices: dict[str, float], looked: int, mark: float = 100.0) -> bool:
        at = NOW + minutes * MINUTE
        reading = of(mark_price_usd=mark, mark_time=NOW + looked * MINUTE)
        return judge(reading, prices, first, at).marks["SOL"].frozen

    assert later(2, moved, 2)
    assert not later(2, PRICES, 2), "the market moved as little"
    assert not later(2, moved, 1), "nobody looked again for two minutes"
    assert not later(2, moved, 2, 100.01), "it moved"
    assert not later(2, {}, 2), "the market is not known"


def test_a_mark_that_stood_still_is_so_until_it_moves_wherever_the_market_goes() -> None:
    memory = judge(WELL, PRICES, None, NOW)
    memory = judge(of(mark_time=NOW + 2 * MINUTE), {"SOL": 99.0}, memory, NOW + 2 * MINUTE)
    assert memory.state is VenueState.DEGRADED
    assert memory.evidence == (
        "the mark of SOL stands still since 03:00 UTC while the market moved -1.00 %",
    )
    memory = judge(of(mark_time=NOW + 3 * MINUTE), PRICES, memory, NOW + 3 * MINUTE)
    assert memory.state is VenueState.DEGRADED
    moved = of(mark_time=NOW + 4 * MINUTE, mark_price_usd=100.2)
    assert judge(moved, PRICES, memory, NOW + 4 * MINUTE).state is VenueState.OK


def test_a_mark_whose_last_bits_differ_by_the_wallet_is_the_same_mark() -> None:
    other = math.nextafter(100.0, 101.0)
    memory = judge(WELL, PRICES, None, NOW)
    for minute in range(1, 5):
        now = NOW + minute * MINUTE
        mark = other if minute % 2 else 100.0
        look = of(mark_price_usd=mark, mark_time=now)
        memory = judge(look, {"SOL": 100.0 - minute}, memory, now)
        assert memory.marks["SOL"].frozen is (minute >= 2)
    assert memory.marks["SOL"].since == NOW


def test_an_answer_that_stays_what_it_was_and_says_so_stands_still_too() -> None:
    memory = judge(WELL, PRICES, None, NOW)
    states = []
    for minute in range(1, 6):
        memory = judge(WELL, {"SOL": 100.0 - minute}, memory, NOW + minute * MINUTE)
        states.append(memory.marks["SOL"].frozen)
    assert states == [False, False, False, True, True], "once it is late"


def test_a_small_step_of_a_mark_that_lags_is_no_thaw_and_one_towards_the_market_is() -> None:
    first = judge(WELL, PRICES, None, NOW)
    now = NOW + 2 * MINUTE
    frozen = judge(of(mark_time=now), {"SOL": 96.0}, first, now)
    assert frozen.marks["SOL"].frozen

    def step(mark: float, price: float | None, memory: VenueMemory = frozen) -> VenueMemory:
        at = now + MINUTE
        prices = {} if price is None else {"SOL": price}
        return judge(of(mark_price_usd=mark, mark_time=at), prices, memory, at)

    ticked = step(100.01, 96.0)
    assert frozen_marks({"dydx": ticked}) == (FrozenMark("dydx", "SOL", 100.01, NOW),)
    assert "stands still since 03:00 UTC" in ticked.evidence[0]
    assert not step(100.01, 99.9).marks["SOL"].frozen, "near the market"
    assert not step(96.2, 96.0).marks["SOL"].frozen, "it followed"
    assert not step(99.0, 96.0).marks["SOL"].frozen, "it moves, if late"
    assert not step(100.01, 96.0, first).marks["SOL"].frozen, "it never stood still"


def test_small_steps_thaw_a_mark_once_they_are_a_move_together_over_restarts_too() -> None:
    memory: VenueMemory | None = judge(WELL, PRICES, None, NOW)
    found = []
    for minute, mark in enumerate((100.0, 100.2, 100.2, 100.29, 100.1, 100.31, 100.51), 2):
        at = NOW + minute * MINUTE
        memory = judge(of(mark_price_usd=mark, mark_time=at), {"SOL": 96.0}, memory, at)
        found.append(memory.marks["SOL"].frozen)
        memory = remembered(json.loads(json.dumps(stored(memory))))
    assert found == [True, True, True, True, True, False, False]


def test_a_list_that_shrinks_at_once_is_held_against_the_venue_until_it_is_long_again() -> None:
    six = of(position_count=6)
    memory = judge(six, PRICES, None, NOW)
    assert judge(of(position_count=4), PRICES, memory, NOW).state is VenueState.OK
    missing = of(position_count=6, missing_count=5)
    memory = judge(missing, PRICES, memory, NOW)
    assert memory.evidence == ("its list of positions shrank from 6 to 1 at one look",)
    # Two looks later they count as closed; that does not make it well.
    one = of(position_count=1, mark_time=NOW + 5 * MINUTE)
    later = judge(one, PRICES, memory, NOW + 5 * MINUTE)
    assert later.state is VenueState.DEGRADED
    back = of(position_count=6, mark_time=NOW + 5 * MINUTE)
    assert judge(back, PRICES, later, NOW + 5 * MINUTE).state is VenueState.OK
    # Wallets that were not read say nothing of what is gone.
    failed = replace(one, failures={"a": "TIMEOUT"})
    assert "shrank" not in "".join(
        judge(failed, PRICES, judge(six, PRICES, None, NOW), NOW).evidence
    )


def test_down_needs_two_looks_that_no_wallet_survived() -> None:
    failed = replace(WELL, failures={"a": "TIMEOUT", "b": "SERVER_ERROR"})
    first = judge(failed, PRICES, judge(WELL, PRICES, None, NOW), NOW)
    assert first.state is VenueState.DEGRADED
    second = judge(failed, PRICES, first, NOW + MINUTE)
    assert (second.state, second.told) == (VenueState.DOWN, VenueState.DOWN)
    assert second.evidence[0] == "2 of 2 wallets cannot be read (SERVER_ERROR, TIMEOUT)"
    # Where nothing is held nobody is woken.
    empty = replace(failed, markets=())
    first = judge(empty, PRICES, None, NOW)
    assert judge(empty, PRICES, first, NOW + MINUTE).told is None


def test_the_estimated_distance_is_that_of_the_nearest_side_by_the_market() -> None:
    assert nearest_percent(WELL, {"SOL": 90.0}) == (pytest.approx(100 * 10 / 90), "SOL")
    assert nearest_percent(WELL, {"SOL": 115.0}) == (pytest.approx(100 * 5 / 115), "SOL")
    assert nearest_percent(WELL, {}) == (None, "")


looks = st.builds(
    lambda failed, halted, mark, count, asked: VenueReading(
        "dydx",
        2,
        dict.fromkeys(("a", "b")[:failed], "TIMEOUT"),
        asked,
        (replace(SOL, halted=halted, mark_price_usd=mark, position_count=count),) if count else (),
    ),
    st.integers(0, 2),
    st.booleans(),
    st.sampled_from([None, 100.0, 100.5, 103.0]),
    st.integers(0, 5),
    st.integers(0, 1),
)


@settings(deadline=None, max_examples=share_of(200))
@given(
    st.lists(
        st.tuples(looks, st.sampled_from([None, 100.0, 104.0]), st.integers(1, 9)), max_size=12
    )
)
def test_what_is_remembered_survives_any_restart_and_ok_is_never_said_without_knowing(
    steps: list[tuple[VenueReading, float | None, int]],
) -> None:
    kept: VenueMemory | None = None
    restarted: VenueMemory | None = None
    now = NOW
    for reading, price, minutes in steps:
        now += minutes * MINUTE
        markets = [replace(one, mark_time=now) for one in reading.markets]
        reading = replace(reading, markets=markets)
        prices = {} if price is None else {"SOL": price}
        kept = judge(reading, prices, kept, now)
        restarted = judge(reading, prices, restarted, now)
        assert restarted == kept
        restarted = remembered(json.loads(json.dumps(stored(restarted))))
        if kept.state is VenueState.OK:
            assert price is not None and not reading.failures and not reading.unasked_count
            assert reading.markets and all(one.mark_price_usd for one in reading.markets)


def test_what_a_wallet_holds_that_is_not_looked_at_is_not_held_against_its_venue() -> None:
    dydx = {"chain": pb.CHAIN_DYDX, "last_sync_state": pb.WALLET_SYNC_STATE_COMPLETE}
    wallets = [
        pb.Wallet(name="resting", active=False, **dydx),
        pb.Wallet(name="main", active=True, **dydx),
    ]
    halted = 1 << pb.FLAG_TRADING_HALTED
    part = columns.bytes_view(pb.PositionColumns).FromString(
        pb.PositionColumns(
            asset_names=["SOL", "BTC"],
            wallet_names=["resting", "main", "removed"],
            venue_names=["dydx"],
            wallet_index=[0, 1, 0, 2],
            asset_index=[0, 0, 1, 1],
            venue_index=[0] * 4,
            side_sign=[1] * 4,
            status=[pb.STATUS_ACTIVE] * 4,
            flag_bits=[halted, 0, halted, halted],
            mark_time_micros=[1] * 4,
            mark_price_usd=[100.0] * 4,
            risk_liquidation_price_usd=[99.0, 80.0, 99.0, 99.0],
        ).SerializeToString()
    )
    (venue,) = readings(wallets, [part])
    (market,) = venue.markets
    assert (venue.wallet_count, market.asset, market.position_count) == (1, "SOL", 1)
    assert not market.halted and market.highest_long_liquidation_usd == 80.0
