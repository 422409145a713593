"""Liqwid over real HTTP: markets and transactions, for every answer it may give."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from services.withdrawals.sources.liqwid import Liqwid
from services.withdrawals.supply.domain.venue import TransactionPage, market_id_of, market_of
from shared.clock import PushedClock
from shared.errors import Unavailable
from tests.contract.withdrawals.liqwid_bench import (
    ADDRESS,
    LONG_AGO,
    STAKE_ADDRESS,
    START,
    HurriedClock,
    asked,
    fixture,
    history,
    many,
    markets,
)
from tests.fakes.liqwid import FakeLiqwid


@pytest.fixture
async def provider() -> AsyncIterator[FakeLiqwid]:
    async with FakeLiqwid(markets=markets(), transactions={ADDRESS: history()}) as provider:
        yield provider


@pytest.fixture
def clock() -> PushedClock:
    return HurriedClock(START)


@pytest.fixture
async def liqwid(provider: FakeLiqwid, clock: PushedClock) -> AsyncIterator[Liqwid]:
    async with asked(provider, clock) as venue:
        yield venue


async def whole(liqwid: Liqwid, address: str = ADDRESS) -> TransactionPage:
    return await liqwid.transactions([address], LONG_AGO, START)


async def test_markets_are_told_as_they_are_and_what_is_null_is_not_known(
    liqwid: Liqwid, provider: FakeLiqwid
) -> None:
    provider.caps = {"DJED": 5000.5}
    djed, usdm = await liqwid.markets()
    assert (djed.id, djed.display_name, djed.symbol) == ("DJED", "DJED", "DJED")
    assert (djed.price_usd, djed.exchange_rate) == (0.9987, 0.0213118822)
    assert djed.liquidity_units == Decimal("1106397.91")
    assert (djed.minimum_units, djed.closed) == (Decimal(10), "")
    assert djed.withdraw_cap_units == Decimal("5000.5")
    assert usdm.price_usd is None
    assert usdm.withdraw_cap_units is None


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("frozen", "frozen"),
        ("delisting", "delisting"),
        ("private", "private"),
        ("batchExpired", "batch expired"),
    ],
)
async def test_a_market_says_why_nothing_can_be_withdrawn(
    liqwid: Liqwid, provider: FakeLiqwid, name: str, word: str
) -> None:
    provider.markets[0][name] = True
    djed, usdm = await liqwid.markets()
    assert (djed.closed, usdm.closed) == (word, "")


async def test_markets_are_paged_from_0_on(liqwid: Liqwid, provider: FakeLiqwid) -> None:
    provider.per_page = 2
    provider.markets = [{**markets()[0], "id": f"M{row}"} for row in range(5)]
    found = await liqwid.markets()
    assert [market.id for market in found] == ["M0", "M1", "M2", "M3", "M4"]
    assert [query[query.index("page:") :][:7] for query in provider.queries("markets(")] == [
        "page: 0",
        "page: 1",
        "page: 2",
    ]


async def test_a_page_of_markets_that_ends_too_early_is_a_failure(
    liqwid: Liqwid, provider: FakeLiqwid
) -> None:
    half = {"liqwid": {"data": {"markets": {"totalCount": 3, "results": []}}}}
    provider.answer("POST /graphql", json={"data": half})
    with pytest.raises(Unavailable, match="fewer markets than it counts") as caught:
        await liqwid.markets()
    assert caught.value.reason == "VENUE_UNAVAILABLE"


async def test_a_market_that_cannot_be_read_costs_no_other(
    liqwid: Liqwid, provider: FakeLiqwid
) -> None:
    provider.markets[0] = {**provider.markets[0], "id": None}
    assert [market.id for market in await liqwid.markets()] == ["USDM"]
    provider.markets[1] = None
    with pytest.raises(Unavailable, match="no market that can be read"):
        await liqwid.markets()
    provider.markets = []
    with pytest.raises(Unavailable, match="no market that can be read"):
        await liqwid.markets()


async def test_caps_that_are_not_told_cost_no_market(liqwid: Liqwid, provider: FakeLiqwid) -> None:
    provider.errors["calculations"] = "Market DJED is not found"
    assert [market.withdraw_cap_units for market in await liqwid.markets()] == [None, None]


async def test_what_nothing_rests_on_may_fail_for_ever_and_costs_no_other_answer(
    liqwid: Liqwid, provider: FakeLiqwid, clock: PushedClock
) -> None:
    provider.broken = {"calculations", "yieldEarned"}
    for _ in range(12):
        assert len(await liqwid.markets()) == 2
        (held,) = await liqwid.held([ADDRESS])
        assert held.venue_yield_units is None
        clock.advance(31)


async def test_an_error_with_http_200_is_a_failure_in_the_venues_words(
    liqwid: Liqwid, provider: FakeLiqwid
) -> None:
    provider.answer("POST /graphql", json=fixture("errors/graphql_200_errors.json"))
    with pytest.raises(Unavailable, match='Cannot query field "exchangeRate"'):
        await liqwid.markets()


@pytest.mark.parametrize(
    "told",
    [
        {"json": []},
        {"json": {"data": None}},
        {"json": {"data": {"historical": None}}},
        {"json": {"data": {"historical": {"transactions": {"totalCount": 1, "results": None}}}}},
        {"json": {"data": {"historical": {"transactions": {"totalCount": None, "results": []}}}}},
        {"json": {"errors": [None], "data": {}}},
        {"text": "<html>", "headers": {"content-type": "text/html"}},
        {"text": '{"data": NaN}'},
        {"json": {}, "truncate": True},
        {"status": 403, "json": {}},
        {"status": 429, "json": {}, "headers": {"retry-after": "30"}},
        {"status": 502, "text": "<html>"},
    ],
)
async def test_what_is_no_answer_is_a_failure(
    liqwid: Liqwid, provider: FakeLiqwid, told: dict
) -> None:
    provider.answer("POST /graphql", **told)
    with pytest.raises(Unavailable) as caught:
        await whole(liqwid)
    assert caught.value.reason == "VENUE_UNAVAILABLE"
    assert (caught.value.retry_after is not None) is (told.get("status") in {403, 429})


async def test_transactions_are_told_whole_with_receipts_and_rate(liqwid: Liqwid) -> None:
    page = await whole(liqwid)
    assert page.is_whole
    first, _, last = page.transactions
    assert first.tx_id == "53fbfc05dfb1152911f92a5fc2f33edd7700ffceea6e4873f4fe48b45a32151d"
    assert (first.type, first.market_name, first.market_id) == ("SUPPLY", "DJED", "")
    assert first.time == datetime(2026, 10, 31, 23, tzinfo=UTC)
    assert (first.units, first.receipt_units) == (Decimal("1000.0"), Decimal("47393.36"))
    assert (last.type, last.exchange_rate) == ("WITHDRAW", 0.0213)
    assert market_id_of(last, await liqwid.markets()) == "DJED"


async def test_a_window_asks_for_its_times_in_utc(liqwid: Liqwid, provider: FakeLiqwid) -> None:
    zone = datetime.fromisoformat("2026-11-18T08:00:00+09:00")
    page = await liqwid.transactions([ADDRESS], zone, zone + timedelta(hours=1))
    assert [one.type for one in page.transactions] == ["WITHDRAW"]
    query = provider.queries("transactions(")[0]
    assert 'startTime: "2026-11-17T23:00:00.000Z", endTime: "2026-11-18T00:00:00.000Z"' in query


@pytest.mark.parametrize("count", [100, 101])
async def test_a_window_of_more_than_a_page_is_not_whole(
    liqwid: Liqwid, provider: FakeLiqwid, count: int
) -> None:
    provider.transactions[ADDRESS] = many(count)
    page = await whole(liqwid)
    assert (len(page.transactions), page.total_count) == (100, count)
    assert page.is_whole is (count == 100)


async def test_a_half_page_is_not_whole(liqwid: Liqwid, provider: FakeLiqwid) -> None:
    provider.transactions[ADDRESS], provider.shorter = many(100), 50
    page = await whole(liqwid)
    assert (len(page.transactions), page.is_whole) == (50, False)


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("id", None, "id: missing"),
        ("type", 7, "type: missing"),
        ("time", None, "time: missing"),
        ("time", "yesterday", "time: not a time"),
        ("time", "0001-01-01T00:00:00Z", "time: out of range"),
        ("amount", None, "amount: missing"),
        ("amount", 0, "amount: not above 0"),
        ("amount", "many", "amount: not a number"),
        ("amount", True, "amount: not a number"),
        ("amount", 1e30, "amount: out of range"),
        ("amount", 1_000_000_000_001, "amount: out of range"),
    ],
)
async def test_a_row_that_cannot_be_read_is_named_and_counted(
    liqwid: Liqwid, provider: FakeLiqwid, name: str, value: object, problem: str
) -> None:
    # The fake finds rows by their time.
    row = {**history()[1], name: value}
    rows = {"totalCount": 2, "results": [history()[0], row]}
    provider.answer("POST /graphql", json={"data": {"historical": {"transactions": rows}}})
    page = await whole(liqwid)
    assert (len(page.transactions), page.is_whole) == (1, True)
    assert [line.endswith(problem) for line in page.refused] == [True]


@pytest.mark.parametrize(
    ("told", "read"),
    [
        ("2026-11-12T23:00:00.000Z", datetime(2026, 11, 12, 23, tzinfo=UTC)),
        ("2026-11-12T23:00:00", datetime(2026, 11, 12, 23, tzinfo=UTC)),
        ("2026-11-13T08:00:00+09:00", datetime(2026, 11, 12, 23, tzinfo=UTC)),
        (1_794_524_400_000, datetime(2026, 11, 12, 23, tzinfo=UTC)),
    ],
)
async def test_a_time_is_utc_unless_it_says_otherwise(
    liqwid: Liqwid, provider: FakeLiqwid, told: object, read: datetime
) -> None:
    rows = {"totalCount": 1, "results": [{**history()[0], "time": told}]}
    provider.answer("POST /graphql", json={"data": {"historical": {"transactions": rows}}})
    assert (await whole(liqwid)).transactions[0].time == read


async def test_a_transaction_may_name_its_market_by_id(
    liqwid: Liqwid, provider: FakeLiqwid
) -> None:
    provider.transactions[ADDRESS] = [
        {**history()[0], "displayName": "?", "market": {"id": "USDM"}}
    ]
    page = await whole(liqwid)
    assert market_id_of(page.transactions[0], await liqwid.markets()) == "USDM"


async def test_usdc_and_usdt_may_be_bridged(liqwid: Liqwid, provider: FakeLiqwid) -> None:
    provider.markets = [{**markets()[0], "id": "wanUSDC", "symbol": "WANUSDC"}]
    found = await liqwid.markets()
    assert market_of("usdc", found) == found[0]
    assert market_of("usdm", found) is None


async def test_no_failure_holds_an_address(liqwid: Liqwid, provider: FakeLiqwid) -> None:
    provider.errors["transactions"] = f"unknown address {ADDRESS}, or {STAKE_ADDRESS}"
    with pytest.raises(Unavailable) as caught:
        await whole(liqwid)
    assert "unknown address (address), or (address)" in caught.value.message
