"""The simulated market: the same for the same seed, calm before its start, a crash after ten
minutes.
"""

import itertools
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from services.price.domain import demo
from services.price.domain.volatility import hourly_volatility_ratio

START = datetime(2026, 11, 20, 22, 17, 5, tzinfo=UTC)
SEEDS = ["sonic", "1", "2", "3"]


def price(minutes: float, asset: str = "BTC", seed: str = "sonic") -> float:
    return demo.price_usd(seed, asset, START, START + timedelta(minutes=minutes))


def test_another_process_sees_the_same_prices() -> None:
    program = (
        "from datetime import *; from services.price.domain import demo;"
        "s = datetime(2026, 11, 20, 22, 17, 5, tzinfo=UTC);"
        "print(repr(demo.price_usd('sonic', 'BTC', s, s + timedelta(minutes=12.5))))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert float(answer.stdout) == price(12.5)


def test_another_seed_is_another_market() -> None:
    assert price(1, seed="1") != price(1, seed="2")


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("asset", ["BTC", "ETH", "SOL"])
@pytest.mark.parametrize("hour", [0, 1, 5])
def test_it_falls_by_18_to_30_percent_within_four_minutes_and_comes_back(
    seed: str, asset: str, hour: int
) -> None:
    before, bottom, after = (price(60 * hour + minute, asset, seed) for minute in (10, 14, 34))
    # The ordinary noise of a few minutes comes on top of the fall.
    assert 0.16 < 1 - bottom / before < 0.32
    assert abs(after / before - 1) < 0.03


def test_the_first_ten_minutes_are_calm() -> None:
    prices = [price(minute / 4) for minute in range(40)]
    assert max(prices) / min(prices) < 1.03


@pytest.mark.parametrize("asset", ["BTC", "ETH", "SOL", "NEW"])
def test_the_invented_history_gives_a_believable_volatility(asset: str) -> None:
    records = demo.backfill("sonic", asset, START, START)
    hours = [int(record.price_time.timestamp() // 3600) for record in records]
    ratio = hourly_volatility_ratio(hours, [record.price_usd for record in records])
    assert ratio is not None
    assert 0.003 < ratio < 0.02


def test_the_invented_history_is_a_chain_in_order_that_ends_before_now() -> None:
    records = demo.backfill("sonic", "BTC", START, START)
    assert len(records) == 168
    assert records[-1].price_time == START - timedelta(hours=1)
    for before, after in itertools.pairwise(records):
        assert (after.previous_price_usd, after.previous_price_time) == (
            before.price_usd,
            before.price_time,
        )
        assert before.price_time < after.price_time


@pytest.mark.parametrize("minutes", [0, 12, 55, 600])
def test_simulated_sources_agree_within_a_tenth_of_a_percent(minutes: int) -> None:
    moment = START + timedelta(minutes=minutes)
    quotes = [demo.quoted_usd("sonic", "BTC", START, moment, name) for name in demo.SOURCE_NAMES]
    assert len(set(quotes)) == 3
    assert max(quotes) / min(quotes) < 1.0011
