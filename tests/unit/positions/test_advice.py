"""Top-up advice: done as told, the distance is the wanted one, by the venue's own liquidation
formula.
"""

import math

import numpy as np
import pytest

from services.positions.risk.domain.advice import (
    ASSUMPTIONS,
    AdviceInput,
    Finding,
    advise,
    jupiter_largest_size,
    jupiter_top_up,
    margin_available,
    margin_largest_base,
    margin_top_up,
    wanted_liquidation_price,
)
from services.positions.risk.domain.liquidation import (
    dydx_liquidation_price,
    hyperliquid_liquidation_price,
    hyperliquid_maintenance_ratio,
    jupiter_liquidation_price,
)
from shared.errors import InvalidArgument

COUNT = 10_000
STEP_USD = 3.75e15 / 1e10  # size per basis point of Jupiter's impact
CHANCE = np.random.default_rng(20261120)
SIDE = CHANCE.choice([-1.0, 1.0], COUNT)
ENTRY = 10 ** CHANCE.uniform(-2, 5, COUNT)
PRICE = ENTRY * CHANCE.uniform(0.8, 1.25, COUNT)
SIZE = 10 ** CHANCE.uniform(1, 7, COUNT)
COLLATERAL = SIZE / CHANCE.uniform(1.1, 100, COUNT)
BORROW = COLLATERAL * CHANCE.uniform(0, 0.3, COUNT)
WANTED = CHANCE.uniform(0.5, 60, COUNT)
BASE = SIZE / ENTRY


def distance_percent(price, liquidation, side=SIDE):
    return 100 * side * (price - liquidation) / price


def test_collateral_added_on_jupiter_gives_the_wanted_distance() -> None:
    wanted = wanted_liquidation_price(SIDE, PRICE, WANTED)
    added = jupiter_top_up(SIDE, ENTRY, SIZE, COLLATERAL, BORROW, wanted)
    after = jupiter_liquidation_price(SIDE, ENTRY, SIZE, COLLATERAL + added, BORROW)
    np.testing.assert_allclose(distance_percent(PRICE, after), WANTED, atol=1e-6, rtol=0)


def test_size_cut_on_jupiter_gives_the_wanted_distance_or_stops_at_a_step_of_the_fee() -> None:
    wanted = wanted_liquidation_price(SIDE, PRICE, WANTED)
    kept = jupiter_largest_size(SIDE, ENTRY, COLLATERAL, BORROW, wanted)
    assert (kept > 0).all()
    after = jupiter_liquidation_price(SIDE, ENTRY, kept, COLLATERAL, BORROW)
    reached = distance_percent(PRICE, after)
    steps = kept / STEP_USD
    # Absent: the long that is left is never liquidated, which is further than any distance.
    at_step = (np.abs(steps - np.round(steps)) < 1e-9) | np.isnan(after)
    np.testing.assert_allclose(reached[~at_step], WANTED[~at_step], atol=1e-6, rtol=0)
    assert (reached[at_step & ~np.isnan(after)] >= WANTED[at_step & ~np.isnan(after)] - 1e-6).all()
    assert (~at_step).sum() > COUNT * 0.9, "the exact answer is the rule"
    # A little more size would bring liquidation too near: it is the largest.
    more = jupiter_liquidation_price(SIDE, ENTRY, kept * (1 + 1e-6) + 1e-6, COLLATERAL, BORROW)
    assert (distance_percent(PRICE, more)[~np.isnan(more)] < WANTED[~np.isnan(more)]).all()


def test_a_jump_of_the_fee_that_swallows_the_exact_size_leaves_the_size_before_it() -> None:
    # 1 % to lose at 7 bps is 375,000; the same collateral less 1 at 8 bps is not above the step.
    slope = 0.01 + 0.002
    collateral = STEP_USD * (slope + 7.5e-4)
    kept = float(jupiter_largest_size(1.0, 100.0, collateral, 0.0, 99.0))
    assert kept == pytest.approx(STEP_USD, rel=1e-12)
    assert float(jupiter_liquidation_price(1.0, 100.0, kept, collateral, 0.0)) < 99.0


def test_advice_on_dydx_gives_the_wanted_distance_beside_other_positions() -> None:
    maintenance = CHANCE.uniform(0.005, 0.2, COUNT)
    other = SIZE * CHANCE.uniform(0, 0.05, COUNT)
    equity = other + SIZE * CHANCE.uniform(0.02, 0.9, COUNT)
    base = SIDE * BASE
    raw = (equity - base * PRICE - other) / (
        BASE * maintenance - base
    )  # also where it would not be > 0
    available = margin_available(SIDE, PRICE, BASE, raw, maintenance)
    added = margin_top_up(SIDE, PRICE, BASE, available, WANTED, maintenance)
    after = dydx_liquidation_price(equity + added, base, PRICE, maintenance, other)
    np.testing.assert_allclose(distance_percent(PRICE, after), WANTED, atol=1e-6, rtol=0)
    wanted = wanted_liquidation_price(SIDE, PRICE, WANTED)
    published = base * PRICE + other + wanted * (BASE * maintenance - base) - equity
    np.testing.assert_allclose(added / SIZE, published / SIZE, rtol=0, atol=1e-9)
    kept = margin_largest_base(SIDE, PRICE, BASE, available, WANTED, maintenance)
    after = dydx_liquidation_price(equity, SIDE * kept, PRICE, maintenance, other)
    np.testing.assert_allclose(distance_percent(PRICE, after), WANTED, atol=1e-6, rtol=0)


def test_advice_on_hyperliquid_gives_the_wanted_distance() -> None:
    leverage = CHANCE.integers(3, 51, COUNT).astype(float)
    ratio = hyperliquid_maintenance_ratio(leverage)
    available = SIZE * CHANCE.uniform(0.001, 0.9, COUNT)
    base = SIDE * BASE
    added = margin_top_up(SIDE, PRICE, BASE, available, WANTED, ratio)
    after = hyperliquid_liquidation_price(PRICE, base, available + added, leverage)
    np.testing.assert_allclose(distance_percent(PRICE, after), WANTED, atol=1e-6, rtol=0)
    kept = margin_largest_base(SIDE, PRICE, BASE, available, WANTED, ratio)
    freed = available + (BASE - kept) * PRICE * ratio
    after = hyperliquid_liquidation_price(PRICE, SIDE * kept, freed, leverage)
    np.testing.assert_allclose(distance_percent(PRICE, after), WANTED, atol=1e-6, rtol=0)


def test_more_collateral_never_brings_liquidation_nearer() -> None:
    more = COLLATERAL * CHANCE.uniform(0, 5, COUNT)
    before = jupiter_liquidation_price(SIDE, ENTRY, SIZE, COLLATERAL, BORROW)
    after = jupiter_liquidation_price(SIDE, ENTRY, SIZE, COLLATERAL + more, BORROW)
    either = np.isnan(before) | np.isnan(after)
    assert (distance_percent(PRICE, after) >= distance_percent(PRICE, before) - 1e-9)[~either].all()
    assert not (np.isnan(before) & ~np.isnan(after)).any()
    ratio = CHANCE.uniform(0.005, 0.2, COUNT)
    for price_of in (
        lambda margin: dydx_liquidation_price(margin, SIDE * BASE, PRICE, ratio),
        lambda margin: hyperliquid_liquidation_price(PRICE, SIDE * BASE, margin, 0.5 / ratio),
    ):
        before, after = price_of(COLLATERAL), price_of(COLLATERAL + more)
        either = np.isnan(before) | np.isnan(after)
        assert (distance_percent(PRICE, after) >= distance_percent(PRICE, before) - 1e-9)[
            ~either
        ].all()


def stake(**terms: object) -> AdviceInput:
    """A long of SOL at 100, marked at 90, liquidated at 85, on a venue entered by hand."""
    known = {
        "venue": "manual",
        "asset": "SOL",
        "side_sign": 1.0,
        "entry_price_usd": 100.0,
        "size_usd": 1000.0,
        "collateral_usd": 200.0,
        "price_usd": 90.0,
        "liquidation_price_usd": 85.0,
    }
    return AdviceInput(**{**known, **terms})


def test_by_hand_each_dollar_moves_liquidation_by_its_share_of_the_tokens() -> None:
    advice = advise(stake(), 10.0)
    # 10 tokens, from 85 down to 81: 40 USD. Or: 5 USD a token last for 5.56 %, so 10 % with 5/9 of
    # them.
    assert advice.wanted_liquidation_price_usd == pytest.approx(81.0)
    assert advice.collateral_to_add_usd == pytest.approx(40.0)
    assert advice.size_to_cut_usd == pytest.approx(1000 * (1 - 5 / 9))
    assert advice.add_finding is advice.cut_finding is Finding.ADVISED
    assert advice.assumption.startswith("Linear") and set(ASSUMPTIONS) == {
        "jupiter",
        "dydx",
        "hyperliquid",
        "",
    }


def test_jupiters_advice_starts_from_the_price_that_drives_the_risk() -> None:
    borrow = 3.0
    own = float(jupiter_liquidation_price(1.0, 100.0, 1000.0, 200.0, borrow))
    exact = advise(stake(venue="jupiter", liquidation_price_usd=own), 15.0)
    wanted = float(wanted_liquidation_price(1.0, 90.0, 15.0))
    assert exact.collateral_to_add_usd == pytest.approx(
        max(float(jupiter_top_up(1.0, 100.0, 1000.0, 200.0, borrow, wanted)), 0.0)
    )
    nearer = advise(stake(venue="jupiter", liquidation_price_usd=own + 2.0), 15.0)
    # Ten tokens, two dollars nearer: twenty dollars more.
    assert nearer.collateral_to_add_usd - exact.collateral_to_add_usd == pytest.approx(20.0)


@pytest.mark.parametrize("venue", ["manual", "demo", "jupiter", "dydx", "hyperliquid"])
@pytest.mark.parametrize("side", [1.0, -1.0])
def test_a_distance_that_is_there_already_asks_for_nothing(venue: str, side: float) -> None:
    liquidation = 90.0 - side * 20.0
    advice = advise(
        stake(
            venue=venue, side_sign=side, liquidation_price_usd=liquidation, maintenance_ratio=0.01
        ),
        10.0,
    )
    assert (advice.collateral_to_add_usd, advice.size_to_cut_usd) == (0.0, 0.0)
    assert advice.add_finding is advice.cut_finding is Finding.ALREADY_MET


def test_a_long_cannot_be_a_hundred_percent_away_and_a_short_can() -> None:
    long = advise(stake(), 100.0)
    assert long.add_finding is long.cut_finding is Finding.CANNOT_BE_MET
    assert (
        long.collateral_to_add_usd
        is long.size_to_cut_usd
        is long.wanted_liquidation_price_usd
        is None
    )
    short = advise(stake(side_sign=-1.0, liquidation_price_usd=95.0), 150.0)
    assert short.wanted_liquidation_price_usd == pytest.approx(225.0)
    assert short.add_finding is short.cut_finding is Finding.ADVISED


def test_no_cut_saves_what_fees_have_eaten_but_collateral_does() -> None:
    for venue in ("manual", "jupiter"):
        advice = advise(stake(venue=venue, collateral_usd=0.5, liquidation_price_usd=101.0), 5.0)
        assert advice.cut_finding is Finding.CANNOT_BE_MET and advice.size_to_cut_usd is None
        assert advice.add_finding is Finding.ADVISED and advice.collateral_to_add_usd > 0


@pytest.mark.parametrize(
    "absent",
    [
        {"side_sign": 0.0},
        {"entry_price_usd": None},
        {"size_usd": 0.0},
        {"price_usd": None},
        {"liquidation_price_usd": None},
        {"venue": "dydx", "maintenance_ratio": None},
        {"venue": "jupiter", "collateral_usd": None},
    ],
    ids=str,
)
def test_what_is_not_known_gives_no_advice(absent: dict[str, object]) -> None:
    advice = advise(stake(**absent), 10.0)
    assert advice.cut_finding is Finding.CANNOT_JUDGE and advice.size_to_cut_usd is None
    assert advice.add_finding is Finding.CANNOT_JUDGE and advice.collateral_to_add_usd is None


@pytest.mark.parametrize("wanted", [0.0, -5.0, math.nan, math.inf])
def test_a_distance_that_is_none_is_refused(wanted: float) -> None:
    with pytest.raises(InvalidArgument) as caught:
        advise(stake(), wanted)
    assert "wanted_distance_percent" in caught.value.fields
