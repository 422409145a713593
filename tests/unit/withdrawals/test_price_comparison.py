"""Prices of sources side by side: the oracle, ages, and rows of mismatches."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.withdrawals.prices.domain import PriceComparison, PriceQuote, PriceRules, compare
from shared.errors import InvalidArgument

ORACLE = json.loads((Path(__file__).parents[2] / "oracle" / "withdrawals.json").read_text())
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SOURCES = ("liqwid", "minswap", "price")
RULES = PriceRules(SOURCES)


def quotes(**prices: float | None) -> list[PriceQuote]:
    return [PriceQuote(source, price, NOW) for source, price in prices.items()]


def compared(rules: PriceRules = RULES, count: int = 0, **prices: float | None) -> PriceComparison:
    return compare(quotes(**prices), rules, NOW, count)


@pytest.mark.parametrize("case", ORACLE["prices"])
def test_a_comparison_is_that_of_the_oracle(case: dict) -> None:
    rules = PriceRules(SOURCES, relative=case["mode"] == "relative", epsilon=case["epsilon"])
    found = compared(rules, **case["prices"])
    assert found.is_unavailable is case.get("unavailable", False)
    assert found.is_mismatch is case.get("mismatch", False)
    assert found.delta_abs == pytest.approx(case.get("delta_abs"))
    assert found.delta_rel == pytest.approx(case.get("delta_rel"))


def test_a_mismatch_holds_once_it_came_as_often_in_a_row_as_it_takes() -> None:
    count, held = 0, []
    for minswap in (1.0, 1.5, 1.5, 1.0, 1.5, 1.5, 1.5, 1.5):
        found = compared(count=count, liqwid=1.0, minswap=minswap)
        count = found.mismatch_count
        held.append(found.holds)
    assert held == [False] * 6 + [True] * 2
    assert count == 4


def test_a_mismatch_holds_at_once_where_one_is_enough() -> None:
    assert compared(PriceRules(SOURCES, persistence=1), liqwid=1.0, minswap=1.5).holds


def test_what_cannot_be_compared_is_no_mismatch_and_ends_no_row_of_them() -> None:
    found = compared(count=5, liqwid=1.0)
    assert (found.is_unavailable, found.is_mismatch, found.holds) == (True, False, False)
    assert found.mismatch_count == 5
    assert compared(count=found.mismatch_count, liqwid=1.0, minswap=1.5).holds


def test_prices_that_are_alike_are_no_mismatch_even_with_an_epsilon_of_0() -> None:
    rules = PriceRules(SOURCES, epsilon=0, persistence=1)
    assert not compared(rules, liqwid=1.0, minswap=1.0).is_mismatch
    assert compared(rules, liqwid=1.0, minswap=1.0000001).holds


def test_of_three_the_highest_and_the_lowest_are_compared() -> None:
    found = compared(liqwid=1.0, minswap=1.02, price=0.99)
    assert found.delta_abs == pytest.approx(0.03)
    assert found.delta_rel == pytest.approx(0.03 / 1.02)


def test_the_first_source_that_has_a_price_gives_it_whatever_the_order_of_the_quotes() -> None:
    rules = PriceRules(("minswap", "price", "liqwid"))
    found = compared(rules, liqwid=1.0, price=1.01, minswap=None)
    assert found.chosen == PriceQuote("price", 1.01, NOW)
    assert [quote.source for quote in found.quotes] == ["minswap", "price", "liqwid"]
    assert compared().chosen is None


def test_a_source_that_is_not_configured_is_not_compared() -> None:
    found = compared(PriceRules(("liqwid", "price")), liqwid=1.0, minswap=9.0)
    assert found.is_unavailable
    assert [quote.problem for quote in found.quotes] == ["", "no price"]


@pytest.mark.parametrize(
    ("quote", "problem"),
    [
        (PriceQuote("minswap", None, NOW), "no price"),
        (PriceQuote("minswap", math.nan, NOW), "not a price above 0"),
        (PriceQuote("minswap", math.inf, NOW), "not a price above 0"),
        (PriceQuote("minswap", 0.0, NOW), "not a price above 0"),
        (PriceQuote("minswap", -1.0, NOW), "not a price above 0"),
        (PriceQuote("minswap", 1.0, None), "no time"),
        (PriceQuote("minswap", 1.0, NOW.replace(tzinfo=None)), "no time"),
        (PriceQuote("minswap", 1.0, NOW + timedelta(minutes=2)), "of the future"),
        (PriceQuote("minswap", 1.0, NOW - timedelta(minutes=61)), "older than 1:00:00"),
        (PriceQuote("minswap", 1.0, NOW, "HTTP 503"), "HTTP 503"),
    ],
)
def test_a_quote_that_is_no_price_of_now_does_not_count(quote: PriceQuote, problem: str) -> None:
    found = compare([*quotes(liqwid=1.0), quote], RULES, NOW, 0)
    assert found.is_unavailable
    assert found.quotes[1].problem == problem


def test_a_source_may_have_an_age_limit_of_its_own() -> None:
    rules = PriceRules(SOURCES, age_limits=(("minswap", timedelta(minutes=5)),))
    old = NOW - timedelta(minutes=10)
    given = [PriceQuote("liqwid", 1.0, old), PriceQuote("minswap", 1.0, old)]
    found = compare(given, rules, NOW, 0)
    assert [quote.problem for quote in found.quotes] == ["", "older than 0:05:00", "no price"]


def test_every_broken_rule_is_told_at_once() -> None:
    with pytest.raises(InvalidArgument) as caught:
        PriceRules(("liqwid", "liqwid"), epsilon=math.nan, persistence=0, age_limit=timedelta(0))
    assert set(caught.value.fields) == {
        "price.sources",
        "price.epsilon",
        "price.persistence",
        "price.age_limit",
    }
