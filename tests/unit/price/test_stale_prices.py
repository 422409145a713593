"""Which prices are no ground to lower a level, and which assets of a refresh have none."""

from datetime import UTC, datetime, timedelta

import pytest

from services.price.domain.prices import Market, Price, Quality, Refreshed, is_stale

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("quality", "age_seconds", "stale"),
    [
        ("GOOD", 0, False),
        ("GOOD", 120, False),
        ("GOOD", 121, True),
        ("SINGLE", 5, False),
        ("DISAGREE", 5, True),
        ("STALE", 5, True),
        ("NONE", 0, True),
        ("CLOSED", 5, True),
    ],
)
def test_an_old_or_untrusted_price_must_not_lower_a_level(
    quality: str, age_seconds: float, stale: bool
) -> None:
    moment = NOW - timedelta(seconds=age_seconds)
    price = Price(
        "BTC", Market.LIVE, Quality[quality], price_usd=1.0, price_time=moment, refresh_time=NOW
    )
    assert is_stale(price, NOW) is stale


def test_a_closed_market_is_counted_and_not_missing() -> None:
    qualities = {
        "BTC": Quality.GOOD,
        "ETH": Quality.DISAGREE,
        "DOGE": Quality.NONE,
        "SOL": Quality.STALE,
        "SPX": Quality.CLOSED,
    }
    prices = tuple(Price(asset, Market.LIVE, one) for asset, one in qualities.items())
    refreshed = Refreshed(prices, (), Market.LIVE)
    assert refreshed.missing_assets == ["DOGE", "SOL"]
    assert (refreshed.fresh_count, refreshed.missing_count, refreshed.closed_count) == (3, 2, 1)
