"""What becomes of the kept price: it is never lost, never replaced by nothing, and time never runs
back.
"""

from datetime import UTC, datetime, timedelta

import pytest

from services.price.domain.consensus import Consensus, agree
from services.price.domain.price_update import apply_consensus, last_good
from services.price.domain.prices import Market, Price, Quality, Quote, quality_now, wanted_assets
from shared.errors import InvalidArgument

NOW = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)


def consensus(
    price_usd: float | None, age_seconds: float = 0, quality: Quality = Quality.GOOD
) -> Consensus:
    if price_usd is None:
        return agree("BTC", [Quote("a", dropped_reason="TIMEOUT")], NOW, None)
    moment = NOW - timedelta(seconds=age_seconds)
    return Consensus(price_usd, moment, quality, (Quote("a", price_usd, moment, used=True),))


def kept(
    price_usd: float = 100.0, age_seconds: float = 60, quality: Quality = Quality.GOOD
) -> Price:
    found = apply_consensus(
        None, "BTC", Market.LIVE, consensus(price_usd, age_seconds, quality), NOW
    )
    return found.price


def test_the_first_price_has_no_previous_one() -> None:
    found = apply_consensus(None, "BTC", Market.LIVE, consensus(100.0), NOW)
    assert found.record is not None
    assert (found.record.previous_price_usd, found.record.previous_price_time) == (None, None)


def test_a_newer_price_carries_the_one_before_it() -> None:
    found = apply_consensus(kept(), "BTC", Market.LIVE, consensus(105.0), NOW)
    assert found.record is not None
    assert (found.price.price_usd, found.price.previous_price_usd) == (105.0, 100.0)
    assert found.price.previous_price_time == NOW - timedelta(seconds=60)


def test_without_a_usable_quote_the_price_stays_and_is_stale() -> None:
    found = apply_consensus(kept(), "BTC", Market.LIVE, consensus(None), NOW)
    assert (found.price.price_usd, found.price.quality, found.record) == (
        100.0,
        Quality.STALE,
        None,
    )
    assert found.price.quotes[0].dropped_reason == "TIMEOUT"


def test_without_any_quote_ever_the_price_is_absent_and_not_zero() -> None:
    found = apply_consensus(None, "BTC", Market.LIVE, consensus(None), NOW)
    assert (found.price.price_usd, found.price.quality, found.record) == (None, Quality.NONE, None)


def test_a_late_price_changes_the_quality_but_not_the_price() -> None:
    found = apply_consensus(
        kept(age_seconds=10), "BTC", Market.LIVE, consensus(90.0, 50, Quality.SINGLE), NOW
    )
    assert (found.price.price_usd, found.price.quality, found.record) == (
        100.0,
        Quality.SINGLE,
        None,
    )
    assert found.changed


def test_a_price_of_the_future_that_a_clock_left_holds_no_later_one_up() -> None:
    """The clock was a day ahead: else the price stood still for a day, and counted as good."""
    found = apply_consensus(kept(age_seconds=-86_400), "BTC", Market.LIVE, consensus(80.0, 10), NOW)
    assert (found.price.price_usd, found.price.price_time) == (80.0, NOW - timedelta(seconds=10))
    assert found.record is not None
    assert (found.record.price_usd, found.record.previous_price_time) == (80.0, None)
    assert found.changed
    # What is but a little ahead is of another machine's clock.
    late = apply_consensus(kept(age_seconds=-4), "BTC", Market.LIVE, consensus(80.0, 10), NOW)
    assert late.price.price_usd == 100.0


def test_the_same_price_again_is_no_change() -> None:
    before = kept(age_seconds=10)
    found = apply_consensus(before, "BTC", Market.LIVE, consensus(100.0, 10), NOW)
    assert (found.record, found.changed) == (None, False)


def test_a_disagreeing_price_is_shown_but_never_the_last_good_one() -> None:
    found = apply_consensus(kept(), "BTC", Market.LIVE, consensus(95.0, 0, Quality.DISAGREE), NOW)
    good = last_good(found.price)
    assert found.price.price_usd == 95.0
    assert good is not None
    assert good.price_usd == 100.0


def test_a_stale_price_recovers_with_the_next_good_one() -> None:
    stale = apply_consensus(kept(), "BTC", Market.LIVE, consensus(None), NOW).price
    found = apply_consensus(stale, "BTC", Market.LIVE, consensus(101.0), NOW)
    assert (found.price.quality, found.price.previous_price_usd) == (Quality.GOOD, 100.0)


def test_a_price_nobody_refreshed_for_a_quarter_of_an_hour_reads_as_stale() -> None:
    assert quality_now(kept(), NOW + timedelta(minutes=15)) is Quality.GOOD
    assert quality_now(kept(), NOW + timedelta(minutes=15, seconds=1)) is Quality.STALE


def test_assets_are_taken_in_any_case_and_each_once() -> None:
    assert wanted_assets(["eth", "BTC", " Eth "], ("BTC", "ETH", "SOL")) == ("BTC", "ETH")
    assert wanted_assets([], ("BTC", "ETH")) == ("BTC", "ETH")


def test_an_untracked_asset_is_refused_by_name() -> None:
    with pytest.raises(InvalidArgument, match="'DOGE' is not tracked") as caught:
        wanted_assets(["doge"], ("BTC",), "asset")
    assert caught.value.reason == "UNKNOWN_ASSET"
    assert caught.value.fields == {"asset": "among BTC"}
