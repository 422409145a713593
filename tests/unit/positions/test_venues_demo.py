"""The demo venue: always the same positions, with risk of every kind in them."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.positions.domain.venue_answer import Chain, Flag, Holding, Side, WalletRef
from services.positions.venues.demo import DEMO_WALLETS, DemoVenue, demo_holdings

NOW = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)
PRICES = {"BTC": 97400.0, "ETH": 3380.0, "SOL": 182.0}
seeds = st.integers(0, 2**63)


def all_of(
    seed: int, anchors: Mapping[str, float] = PRICES, prices: Mapping[str, float] = PRICES
) -> dict[str, Holding]:
    answers = [demo_holdings(seed, wallet, anchors, prices, NOW) for wallet in DEMO_WALLETS]
    return {holding.position_id: holding for answer in answers for holding in answer.holdings}


def distance(holding: Holding) -> float:
    assert holding.mark_price_usd is not None and holding.liquidation_price_usd is not None
    sign = 1 if holding.side is Side.LONG else -1
    return sign * (holding.mark_price_usd - holding.liquidation_price_usd) / holding.mark_price_usd


@given(seeds)
def test_both_sides_of_three_assets_are_held_and_one_wallet_hedges_one(seed: int) -> None:
    holdings = all_of(seed)
    assert 6 <= len(holdings) <= 8
    assert {holding.asset for holding in holdings.values()} == {"BTC", "ETH", "SOL"}
    assert {holding.side for holding in holdings.values()} == {Side.LONG, Side.SHORT}
    sides: dict[str, set[Side]] = {}
    for holding in holdings.values():
        sides.setdefault(holding.position_id.rsplit("-", 1)[0], set()).add(holding.side)
    assert [place for place, held in sides.items() if len(held) == 2] == ["demo-main-sol"]
    assert all(holding.flags == {Flag.DEMO} for holding in holdings.values())


@given(seeds)
def test_leverage_lies_between_three_and_fifteen(seed: int) -> None:
    for holding in all_of(seed).values():
        assert holding.size_usd is not None and holding.collateral_usd is not None
        assert 2.99 <= holding.size_usd / holding.collateral_usd <= 15


@given(seeds, st.floats(0.18, 0.30))
def test_one_or_two_longs_do_not_outlive_the_crash_and_nothing_dies_before_it(
    seed: int, fall: float
) -> None:
    assert all(distance(holding) > 0.05 for holding in all_of(seed).values())
    crashed = all_of(seed, prices={asset: price * (1 - fall) for asset, price in PRICES.items()})
    dead = [holding for holding in crashed.values() if distance(holding) <= 0]
    assert 1 <= len(dead) <= 2
    assert all(holding.side is Side.LONG for holding in dead)


@given(seeds, st.floats(0.5, 1.5))
def test_only_the_mark_and_what_follows_from_it_move(seed: int, factor: float) -> None:
    before, after = (
        all_of(seed),
        all_of(seed, prices={asset: price * factor for asset, price in PRICES.items()}),
    )
    assert before.keys() == after.keys()
    for name, first in before.items():
        second = after[name]
        for field in (
            "entry_price_usd",
            "liquidation_price_usd",
            "size_usd",
            "collateral_usd",
            "open_fee_usd",
        ):
            assert getattr(first, field) == getattr(second, field)


def test_value_is_collateral_and_profit_after_fees() -> None:
    for holding in all_of(7).values():
        assert holding.venue_value_usd == pytest.approx(
            (holding.collateral_usd or 0) + (holding.pnl_after_fees_usd or 0)
        )


def test_another_seed_gives_other_terms() -> None:
    assert all_of(1)["demo-main-btc-long"] != all_of(2)["demo-main-btc-long"]
    assert all_of(1) == all_of(1)


def test_without_a_price_the_mark_is_absent_and_without_an_anchor_the_answer_is_not_complete() -> (
    None
):
    blind = demo_holdings(1, "demo-main", PRICES, {}, NOW)
    assert blind.complete and all(holding.mark_price_usd is None for holding in blind.holdings)
    assert all(holding.pnl_after_fees_usd is None for holding in blind.holdings)
    partly = demo_holdings(1, "demo-main", {"BTC": 97400.0}, PRICES, NOW)
    assert (partly.complete, partly.incomplete_reason) == (False, "PRICE_MISSING")
    assert [holding.asset for holding in partly.holdings] == ["BTC"]


def test_a_wallet_that_is_not_of_the_demo_holds_nothing() -> None:
    answer = demo_holdings(1, "cold", PRICES, PRICES, NOW)
    assert answer.complete and not answer.holdings


class KeptInMemory:
    def __init__(self) -> None:
        self.kept: dict[str, float] = {}

    async def first(self, prices: Mapping[str, float]) -> Mapping[str, float]:
        self.kept = {**prices, **self.kept}
        return self.kept


async def test_the_first_prices_seen_are_the_anchors_for_ever() -> None:
    anchors = KeptInMemory()
    wallet = WalletRef("demo-main", Chain.DEMO, "")
    first = await DemoVenue(3, anchors).fetch(wallet, {**PRICES, "SPX": 6000.0}, NOW)
    later = {asset: price * 0.7 for asset, price in PRICES.items()}
    second = await DemoVenue(3, anchors).fetch(wallet, later, NOW + timedelta(hours=1))
    assert [holding.entry_price_usd for holding in first.holdings] == [
        holding.entry_price_usd for holding in second.holdings
    ]
    assert anchors.kept == PRICES
    assert second.observed_time == NOW + timedelta(hours=1)
