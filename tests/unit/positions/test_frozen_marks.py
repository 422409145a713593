"""Which positions are by a mark that stands still, and what the market says of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.positions.domain.venue_answer import Flag, Side, Status
from services.positions.enrichment.domain.confirmed_prices import SeenPrice, seen
from services.positions.enrichment.domain.enrichment import (
    EnrichContext,
    Feed,
    MarketPrice,
    enrich,
    held_marks,
)
from services.positions.enrichment.domain.frozen_marks import (
    FrozenMark,
    FrozenTable,
    estimated_distance_percent,
)
from services.positions.enrichment.domain.metrics import bit
from services.positions.venues.hyperliquid_parser import Row

VENUES = {1: "dydx", 2: "jupiter", 3: "dydx"}
ASSETS = {1: "BTC", 2: "ETH"}
SINCE = 1_770_000_000_000_000
FROZEN = FrozenMark("dydx", "BTC", 97_412.5, SINCE)


def since(feed: int, asset: int, mark: float, *marks: FrozenMark, market: float = np.nan) -> int:
    table = FrozenTable(marks or (FROZEN,), VENUES, ASSETS)
    found = table.since_micros(*(np.array([one]) for one in (feed, asset, mark, market)))
    return int(found[0])


@pytest.mark.parametrize(
    ("feed", "asset", "mark", "expected"),
    [
        (1, 1, 97_412.5, SINCE),
        # Another wallet at the same venue.
        (3, 1, 97_412.5, SINCE),
        # The same asset elsewhere, another asset, a mark that moved on, none at all.
        (2, 1, 97_412.5, 0),
        (1, 2, 97_412.5, 0),
        (1, 1, 97_412.6, 0),
        (1, 1, np.nan, 0),
    ],
)
def test_a_position_is_meant_by_its_venue_its_asset_and_that_very_mark(
    feed: int, asset: int, mark: float, expected: int
) -> None:
    assert since(feed, asset, mark) == expected


def test_marks_of_assets_and_venues_that_are_not_known_mean_nobody() -> None:
    assert not FrozenTable((FrozenMark("dydx", "DOGE", 1.0, SINCE),), VENUES, ASSETS)
    assert not FrozenTable((), VENUES, ASSETS)
    assert since(1, 1, 97_412.5, FrozenMark("hyperliquid", "BTC", 97_412.5, SINCE)) == 0


def test_the_estimate_is_the_distance_by_the_market_price_of_either_side() -> None:
    found = estimated_distance_percent(
        np.array([1, -1, 1, 0, 1]),
        np.array([100.0, 100.0, 75.0, 100.0, np.nan]),
        np.array([80.0, 110.0, 80.0, 80.0, 80.0]),
    )
    assert found[:3].tolist() == [20.0, 10.0, pytest.approx(-100 * 5 / 75)]
    assert np.isnan(found[4]) and found[3] == 0.0


@pytest.mark.parametrize(
    ("mark", "market", "is_held"),
    [
        (97_412.5 * (1 + 1e-12), np.nan, True),
        (97_412.5 * (1 + 1e-8), np.nan, False),
        # A small step of a mark that is as far from the market as before is no thaw.
        (97_420.0, 95_000.0, True),
        (97_420.0, 97_000.0, False),
        (97_000.0, 95_000.0, False),
    ],
)
def test_a_mark_is_that_one_in_all_but_the_last_bits_or_after_a_step_away_from_the_market(
    mark: float, market: float, is_held: bool
) -> None:
    assert bool(since(1, 1, mark, market=market)) is is_held


NOW = datetime(2026, 11, 30, 3, 0, tzinfo=UTC)
GOOD = MarketPrice(90.0, NOW, True, None, estimate_usd=90.0)
OLD = NOW - timedelta(minutes=10)
FEEDS = {
    1: Feed(1, "main", "hyperliquid", NOW, False),
    2: Feed(2, "second", "hyperliquid", OLD, True),
    3: Feed(3, "typed", "manual", OLD, False),
    4: Feed(4, "resting", "hyperliquid", OLD, False, active=False),
    5: Feed(5, "just", "hyperliquid", NOW, True),
}


def context(
    market: MarketPrice = GOOD, frozen: Sequence[FrozenMark] = (), **changes: Any
) -> EnrichContext:
    known = EnrichContext(FEEDS, {1: "BTC"}, {"BTC": market}, NOW, 120.0, frozen=frozen)
    return replace(known, **changes)


def held(feeds: Sequence[int], mark: float = 100.0) -> dict[str, np.ndarray]:
    """A long of each of these feeds."""
    ones = np.ones(len(feeds))
    numbers = {
        "entry_price_usd": 100.0,
        "mark_price_usd": mark,
        "liquidation_price_usd": 80.0,
        "own_liquidation_price_usd": 80.0,
        "size_usd": 1000.0,
        "collateral_usd": 200.0,
        "pnl_after_fees_usd": np.nan,
    }
    return {
        "position_key": np.arange(len(feeds)),
        "feed_key": np.array(feeds),
        "asset_key": ones.astype(np.int64),
        "side": np.full(len(feeds), Side.LONG),
        "status": np.full(len(feeds), Status.ACTIVE),
        "in_last_answer": np.ones(len(feeds), np.bool_),
        "flag_bits": np.zeros(len(feeds), np.int64),
        "mark_time": np.zeros(len(feeds), np.int64),
        **{name: ones * number for name, number in numbers.items()},
    }


def test_a_row_that_nobody_can_read_is_estimated_since_its_mark_and_no_other_row_is() -> None:
    found = enrich(held([1, 2, 3, 4, 5]), context()).results
    old = round(OLD.timestamp() * 1e6)
    assert found["mark_frozen_since_micros"].tolist() == [0, old, 0, 0, 0]
    assert found["estimate_price_usd"][1] == 90.0
    assert np.isnan(np.delete(found["estimate_price_usd"], 1)).all()
    stale, frozen = (
        found["flag_bits"] & bit(one) != 0 for one in (Flag.MARK_STALE, Flag.MARK_FROZEN)
    )
    assert stale.tolist() == [False, True, True, True, True] and not frozen.any()
    assert "estimate_price_usd" not in enrich(held([1, 3, 4, 5]), context()).results


def test_rows_of_blocks_without_an_old_mark_have_no_estimate() -> None:
    for feeds in ([1] * 9000 + [2], [2] + [1] * 9000):
        found = enrich(held(feeds), context()).results
        is_old = np.array(feeds) == 2
        assert ((found["mark_frozen_since_micros"] > 0) == is_old).all()
        assert (np.isnan(found["estimate_price_usd"]) == ~is_old).all()


def test_only_a_confirmed_price_estimates_and_without_one_it_is_not_known() -> None:
    frozen = [FrozenMark("hyperliquid", "BTC", 100.0, SINCE)]
    for price in (
        replace(GOOD, estimate_usd=None),
        replace(GOOD, usable=False),
        replace(GOOD, price_time=OLD),
    ):
        found = enrich(held([1, 2]), context(price, frozen)).results
        assert found["mark_frozen_since_micros"].tolist() == [SINCE, SINCE]
        assert np.isnan(found["estimate_price_usd"]).all()


def test_a_mark_that_no_position_is_by_any_more_is_dropped() -> None:
    marks = [
        FrozenMark("hyperliquid", "BTC", 100.0, SINCE),
        FrozenMark("dydx", "BTC", 100.0, SINCE),
    ]
    assert held_marks(held([1]), context(frozen=marks)) == marks[:1]
    assert held_marks(held([1], 101.0), context(frozen=marks)) == []
    assert held_marks(held([1], 100.2), context(frozen=marks)) == marks[:1]


def test_what_the_last_answer_lacks_has_no_estimate_and_what_nobody_could_read_has_one() -> None:
    lacked = {
        "status": np.array([Status.STALE, Status.ACTIVE, Status.STALE]),
        "in_last_answer": np.array([False, False, False]),
        "mark_time": np.full(3, round(OLD.timestamp() * 1e6)),
    }
    # Missing once; in a part that nobody read; missing once before its wallet failed: the failure
    # says nothing of it, and the answer before said that it may be closed.
    rows = held([1, 1, 2]) | lacked
    found = enrich(rows, context()).results
    assert (found["mark_frozen_since_micros"] > 0).tolist() == [False, True, False]
    assert np.isnan(found["estimate_price_usd"]).tolist() == [True, False, True]
    assert (found["flag_bits"] & bit(Flag.MARK_STALE) != 0).all()
    # By a mark that stands still it holds all the same, and is not known.
    found = enrich(rows, context(frozen=[FrozenMark("hyperliquid", "BTC", 100.0, SINCE)])).results
    assert (found["mark_frozen_since_micros"] == SINCE).all()
    assert np.isnan(found["estimate_price_usd"]).tolist() == [True, False, True]


GOOD_LOOK, LONE = False, True
FALL = [100.0, 98.5, 97.0, 95.5, 94.0, 92.5, 91.0]


@pytest.mark.parametrize(
    ("steps", "estimates"),
    [
        ([(100.0, 0, GOOD_LOOK)], [100.0]),
        # The same moment says nothing new, another one does.
        ([(100.0, 0, LONE), (100.0, 0, LONE), (100.5, 1, LONE)], [None, None, 100.5]),
        # Near what several said.
        ([(100.0, 0, GOOD_LOOK), (100.5, 1, LONE)], [100.0, 100.5]),
        # A fall is told one look late, and at once where sources agree.
        (
            [(FALL[0], 0, GOOD_LOOK), *((one, n, LONE) for n, one in enumerate(FALL[1:], 1))],
            [100.0, *FALL[:-1]],
        ),
        ([(one, n, GOOD_LOOK) for n, one in enumerate(FALL)], FALL),
        # Also where the first look is amid a fall.
        (
            [(one, n, LONE) for n, one in enumerate(FALL)],
            [None, None, *FALL[1:-1]],
        ),
        # Where it ends it is known at once.
        ([(100.0, 0, GOOD_LOOK), (90.0, 1, LONE), (90.1, 2, LONE)], [100.0, 100.0, 90.1]),
        # Nothing of a wild quote, however often it is read.
        (
            [
                (100.0, 0, GOOD_LOOK),
                (50.0, 1, LONE),
                (50.0, 1, LONE),
                (100.0, 2, LONE),
                (150.0, 3, LONE),
                (99.5, 4, LONE),
                (99.6, 5, LONE),
            ],
            [100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 99.6],
        ),
        # Of one against a fall neither.
        (
            [(100.0, 0, GOOD_LOOK), (80.0, 1, LONE), (78.0, 2, LONE), (95.0, 3, LONE)],
            [100.0, 100.0, 80.0, 80.0],
        ),
        # The first was wild.
        ([(50.0, 0, LONE), (100.0, 1, LONE), (100.1, 2, LONE)], [None, None, 100.1]),
        ([(50.0, 0, LONE), (100.0, 1, LONE), (98.5, 2, LONE)], [None, None, 98.5]),
    ],
)
def test_a_lone_price_estimates_where_another_moment_says_as_much(
    steps: list[tuple[float, int, bool]], estimates: list[float | None]
) -> None:
    before: SeenPrice | None = None
    found = []
    for price, minute, is_lone in steps:
        before = seen(price, NOW + timedelta(minutes=minute), before, is_lone=is_lone)
        found.append(before.estimate_usd)
    assert found == estimates


@settings(deadline=None)
@given(
    st.integers(500_000, 1_200_000),
    st.lists(st.integers(1, 500_000), min_size=2, max_size=4),
)
def test_hyperliquid_wallets_of_any_sizes_are_by_one_mark_that_a_reduction_does_not_thaw(
    price_tenths: int, sizes: list[int]
) -> None:
    price = Decimal(price_tenths) / 10

    def mark(size: int) -> float:
        base = Decimal(size) / 100_000
        return Row(
            "BTC", float(base), 1.0, float(base * price), 1.0, 0.0, None, 40.0, True
        ).mark_price_usd

    frozen = FrozenMark("hyperliquid", "BTC", mark(sizes[0]), SINCE)
    assert frozen.mark_price_usd == float(price)
    rows = held([1] * len(sizes)) | {"mark_price_usd": np.array([mark(one) for one in sizes])}
    found = enrich(rows, context(frozen=[frozen])).results
    assert (found["mark_frozen_since_micros"] == SINCE).all()
