"""What a change of the history by hand makes of the present price, and the range of the day."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from services.price.domain.day_range import DayRange, day_range
from services.price.domain.price_update import apply_history
from services.price.domain.prices import Market, Price, PriceRecord, Quality, Quote

NOW = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)
OLD = PriceRecord(
    "BTC", Market.LIVE, 90.0, NOW - timedelta(hours=2), None, None, "pyth", Quality.GOOD, 1
)
NEW = PriceRecord("BTC", Market.LIVE, 100.0, NOW, 90.0, OLD.price_time, "MANUAL", Quality.SINGLE, 2)
KEPT = Price(
    "BTC",
    Market.LIVE,
    Quality.GOOD,
    price_usd=90.0,
    price_time=OLD.price_time,
    source="pyth",
    refresh_time=OLD.price_time,
    quotes=(Quote("pyth", 90.0, OLD.price_time, used=True),),
)


def test_a_newer_row_by_hand_is_the_present_price() -> None:
    price = apply_history(KEPT, "BTC", Market.LIVE, NEW, NEW, vouched=True)
    assert (price.price_usd, price.quality, price.source) == (100.0, Quality.SINGLE, "MANUAL")
    assert (price.previous_price_usd, price.last_good_price_usd, price.refresh_time) == (
        90.0,
        100.0,
        NOW,
    )


def test_a_price_that_falls_back_is_stale_and_never_nothing() -> None:
    kept = apply_history(KEPT, "BTC", Market.LIVE, NEW, NEW, vouched=True)
    price = apply_history(kept, "BTC", Market.LIVE, OLD, OLD, vouched=False)
    assert (price.price_usd, price.quality, price.previous_price_usd) == (90.0, Quality.STALE, None)
    assert price.refresh_time == NOW


def test_an_older_row_changes_what_came_before_and_no_quality() -> None:
    newest = replace(
        OLD, previous_price_usd=80.0, previous_price_time=OLD.price_time - timedelta(hours=1)
    )
    price = apply_history(KEPT, "BTC", Market.LIVE, newest, newest, vouched=False)
    assert (price.quality, price.price_usd, price.previous_price_usd) == (Quality.GOOD, 90.0, 80.0)


def test_without_a_row_there_is_no_price() -> None:
    price = apply_history(KEPT, "BTC", Market.LIVE, None, None, vouched=False)
    assert (price.price_usd, price.price_time, price.quality) == (None, None, Quality.NONE)
    assert (price.last_good_price_usd, price.previous_price_time) == (None, None)


def stating(*ranges: tuple[float | None, float | None], used: bool = True) -> Price:
    quotes = tuple(
        Quote(str(place), 90.0, OLD.price_time, used=used, high_24h_usd=high, low_24h_usd=low)
        for place, (high, low) in enumerate(ranges)
    )
    return replace(KEPT, quotes=quotes)


def test_the_range_is_the_median_of_what_the_used_sources_state() -> None:
    price = stating((95.0, 85.0), (96.0, 86.0), (9_600.0, 0.1), (None, 80.0), (70.0, 80.0))
    assert day_range(price, DayRange(200.0, 1.0), NOW) == DayRange(96.0, 85.0)


def test_without_a_stated_range_it_is_our_own() -> None:
    own = DayRange(92.0, 88.0)
    assert day_range(KEPT, own, NOW) == own
    assert day_range(stating((95.0, 85.0), used=False), own, NOW) == own
    assert day_range(KEPT, None, NOW) is None


def test_the_range_holds_the_price_of_that_day() -> None:
    assert day_range(stating((89.0, 85.0)), None, NOW) == DayRange(90.0, 85.0)
    assert day_range(stating((95.0, 91.0)), None, NOW) == DayRange(95.0, 90.0)
    assert day_range(stating((89.0, 85.0)), None, NOW + timedelta(days=2)) == DayRange(89.0, 85.0)
