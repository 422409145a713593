"""The consensus of several sources: who carries the price, who is dropped, and why."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.price.domain.consensus import Consensus, LastGood, agree
from services.price.domain.prices import Dropped, Quality, Quote

NOW = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)


def quote(
    source: str,
    price_usd: float | None,
    age_seconds: float = 10,
    confidence_usd: float | None = None,
) -> Quote:
    return Quote(source, price_usd, NOW - timedelta(seconds=age_seconds), confidence_usd)


def judge(
    *quotes: Quote, last_usd: float | None = None, asset: str = "BTC", now: datetime = NOW
) -> Consensus:
    last = None if last_usd is None else LastGood(last_usd, now - timedelta(minutes=1))
    return agree(asset, quotes, now, last)


def reasons(consensus: Consensus) -> dict[str, str]:
    return {one.source: one.dropped_reason for one in consensus.quotes}


def test_two_that_agree_give_their_median_and_are_good() -> None:
    found = judge(quote("a", 100.0, 30), quote("b", 101.0, 5))
    assert (found.price_usd, found.quality, found.source) == (100.5, Quality.GOOD, "a+b")
    assert found.price_time == NOW - timedelta(seconds=5)


def test_quotes_exactly_two_percent_apart_agree_and_a_hair_more_do_not() -> None:
    assert judge(quote("a", 100.0), quote("b", 102.0)).quality is Quality.GOOD
    assert judge(quote("a", 100.0), quote("b", 102.001)).quality is None


def test_a_majority_of_three_outvotes_one_that_is_a_hundred_times_off() -> None:
    found = judge(quote("a", 97_401.0), quote("b", 974.01), quote("c", 97_411.0))
    assert found.price_usd == 97_406.0
    assert reasons(found) == {"a": "", "b": Dropped.OUTLIER, "c": ""}


def test_half_of_the_quotes_is_no_majority() -> None:
    found = judge(quote("a", 100.0), quote("b", 100.5), quote("c", 110.0), quote("d", 110.5))
    assert (found.price_usd, found.quality) == (None, None)
    assert set(reasons(found).values()) == {Dropped.NO_MAJORITY}


def test_two_that_disagree_leave_the_one_near_the_last_good_price() -> None:
    found = judge(quote("a", 100.0), quote("b", 150.0), last_usd=103.0)
    assert (found.price_usd, found.quality, found.source) == (100.0, Quality.DISAGREE, "a")
    assert reasons(found)["b"] == Dropped.OUTLIER


def test_ten_percent_from_the_last_good_price_is_near_and_more_is_not() -> None:
    assert judge(quote("a", 110.0), quote("b", 300.0), last_usd=100.0).price_usd == 110.0
    assert judge(quote("a", 110.1), quote("b", 300.0), last_usd=100.0).price_usd is None


def test_two_that_disagree_with_everything_known_give_no_price() -> None:
    found = judge(quote("a", 50.0), quote("b", 150.0), last_usd=100.0)
    assert found.price_usd is None
    assert set(reasons(found).values()) == {Dropped.OUTLIER}


def test_of_two_equally_large_clusters_the_tightest_counts() -> None:
    found = judge(quote("a", 100.0), quote("b", 101.5), quote("c", 102.5))
    assert found.price_usd == 102.0


def test_a_lone_quote_is_single_whatever_it_moved() -> None:
    found = judge(quote("a", 60.0), last_usd=100.0)
    assert (found.price_usd, found.quality) == (60.0, Quality.SINGLE)


@pytest.mark.parametrize("price_usd", [1.0, 5.0, 2_000.0, 10_000.0])
def test_a_lone_quote_with_a_shifted_decimal_point_is_an_outlier(price_usd: float) -> None:
    found = judge(quote("a", price_usd), last_usd=100.0)
    assert (found.price_usd, reasons(found)) == (None, {"a": Dropped.OUTLIER})


def test_a_lone_quote_is_not_held_against_a_price_older_than_a_day() -> None:
    last = LastGood(100.0, NOW - timedelta(days=1, seconds=1))
    assert agree("BTC", [quote("a", 1.0)], NOW, last).price_usd == 1.0


@pytest.mark.parametrize(
    ("dropped", "reason"),
    [
        (quote("x", None), Dropped.MISSING),
        (quote("x", 0.0), Dropped.NOT_POSITIVE),
        (quote("x", -97_401.0), Dropped.NOT_POSITIVE),
        (quote("x", math.nan), Dropped.NOT_FINITE),
        (quote("x", math.inf), Dropped.NOT_FINITE),
        (Quote("x", 100.0), Dropped.BAD_TIME),
        (quote("x", 100.0, age_seconds=120.001), Dropped.TOO_OLD),
        (quote("x", 100.0, age_seconds=-5.001), Dropped.FROM_FUTURE),
        (quote("x", 100.0, confidence_usd=1.001), Dropped.WIDE_CONFIDENCE),
        (quote("x", 100.0, confidence_usd=-0.1), Dropped.WIDE_CONFIDENCE),
        (quote("x", 100.0, confidence_usd=math.nan), Dropped.WIDE_CONFIDENCE),
        (Quote("x", dropped_reason="TIMEOUT"), "TIMEOUT"),
    ],
)
def test_an_unusable_quote_keeps_its_reason_and_the_others_give_the_price(
    dropped: Quote, reason: str
) -> None:
    found = judge(dropped, quote("a", 100.0), quote("b", 100.0))
    assert (found.price_usd, found.quality) == (100.0, Quality.GOOD)
    assert reasons(found)["x"] == reason
    alone = judge(dropped, last_usd=100.0)
    assert (alone.price_usd, reasons(alone)) == (None, {"x": reason})


@pytest.mark.parametrize("age_seconds", [120.0, -5.0])
def test_the_edges_of_age_are_inside(age_seconds: float) -> None:
    assert judge(quote("a", 100.0, age_seconds)).price_usd == 100.0


def test_confidence_of_exactly_one_percent_is_inside() -> None:
    assert judge(quote("a", 100.0, confidence_usd=1.0)).price_usd == 100.0


def test_an_index_outside_its_hours_is_closed_and_not_stale() -> None:
    saturday = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
    friday_close = Quote("y", 5_900.0, datetime(2026, 11, 20, 21, 0, tzinfo=UTC))
    assert judge(friday_close, asset="SPX", now=saturday).quality is Quality.CLOSED
    assert judge(friday_close, asset="BTC", now=saturday).price_usd is None


def test_an_index_price_of_five_days_ago_is_too_old() -> None:
    old = Quote("y", 5_900.0, NOW - timedelta(days=4, seconds=1))
    assert reasons(judge(old, asset="SPX"))["y"] == Dropped.TOO_OLD


def test_an_index_inside_its_hours_has_an_ordinary_quality() -> None:
    noon = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)
    assert judge(Quote("y", 5_900.0, noon), asset="SPX", now=noon).quality is Quality.SINGLE


PRICES = st.floats(min_value=1e-300, max_value=1e300)
ANY_QUOTES = st.lists(
    st.builds(
        lambda price, age, confidence: (price, age, confidence),
        st.one_of(
            PRICES,
            st.floats(50, 200),
            st.just(math.nan),
            st.just(math.inf),
            st.floats(-10, 0),
            st.none(),
        ),
        st.floats(-60, 300),
        st.one_of(st.none(), st.floats(0, 3)),
    ),
    max_size=7,
).map(lambda rows: [quote(f"s{i}", *row) for i, row in enumerate(rows)])
LAST = st.one_of(st.none(), st.floats(50, 200))


@given(ANY_QUOTES, LAST, st.randoms(use_true_random=False))
def test_the_order_of_the_quotes_changes_nothing(
    quotes: list[Quote], last_usd: float | None, random: object
) -> None:
    shuffled = list(quotes)
    random.shuffle(shuffled)
    first, second = judge(*quotes, last_usd=last_usd), judge(*shuffled, last_usd=last_usd)
    assert repr(first) == repr(second)


@given(ANY_QUOTES, LAST)
def test_the_price_lies_among_the_used_quotes_and_no_other(
    quotes: list[Quote], last_usd: float | None
) -> None:
    found = judge(*quotes, last_usd=last_usd)
    used = [one.price_usd for one in found.quotes if one.used and one.price_usd is not None]
    assert len(found.quotes) == len(quotes)
    assert (found.price_usd is None) == (not used)
    if found.price_usd is not None:
        assert min(used) <= found.price_usd <= max(used)
        assert 0 < found.price_usd < math.inf


@given(ANY_QUOTES, LAST)
def test_every_quote_is_used_or_has_a_reason(quotes: list[Quote], last_usd: float | None) -> None:
    assert all(
        one.used != bool(one.dropped_reason) for one in judge(*quotes, last_usd=last_usd).quotes
    )


@given(ANY_QUOTES, LAST)
def test_dropped_quotes_never_touch_the_price(quotes: list[Quote], last_usd: float | None) -> None:
    found = judge(*quotes, last_usd=last_usd)
    survivors = [one for one in found.quotes if one.used]
    again = judge(*survivors, last_usd=last_usd)
    if found.quality is Quality.GOOD:
        assert again.price_usd == found.price_usd


@given(st.floats(1, 1e6), st.floats(0, 0.0199), st.sampled_from([100.0, 0.01]), LAST)
def test_one_of_three_that_is_a_hundred_times_off_never_moves_the_price(
    price_usd: float, apart: float, factor: float, last_usd: float | None
) -> None:
    two = [quote("a", price_usd), quote("b", price_usd * (1 + apart))]
    three = [*two, quote("c", price_usd * factor)]
    assert judge(*three, last_usd=last_usd).price_usd == judge(*two, last_usd=last_usd).price_usd
