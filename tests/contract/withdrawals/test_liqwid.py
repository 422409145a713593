"""Liqwid over real HTTP: what comes back for every answer it may give."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from services.withdrawals.sources.liqwid import Liqwid, build_liqwid
from services.withdrawals.supply.domain.addresses import payment_key_hash
from services.withdrawals.supply.domain.venue import TransactionPage, market_id_of, market_of
from shared.clock import PushedClock
from shared.errors import Unavailable
from tests.fakes.liqwid import FakeLiqwid

FIXTURES = Path(__file__).parents[2] / "fixtures"
START = datetime(2026, 11, 21, tzinfo=UTC)
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
# Of the examples of CIP-19.
ADDRESS = (
    "addr1qx2fxv2umyhttkxyxp8x0dlpdt3k6cwng5pxj3jhsydzer3n0d3vllmyqwsx5wktcd8cc3sq835lu7drv2xwl"
    "2wywfgse35a3x"
)
STAKE_ADDRESS = "stake1uyehkck0lajq8gr28t9uxnuvgcqrc6070x3k9r8048z8y5gh6ffgw"
KEY = "9493315cd92eb5d8c4304e67b7e16ae36d61d34502694657811a2c8e"
OTHER = "addr1vx2fxv2umyhttkxyxp8x0dlpdt3k6cwng5pxj3jhsydzers66hrl8"


def fixture(name: str) -> dict:
    return json.loads((FIXTURES / name).read_text())


def markets() -> list[dict]:
    return fixture("liqwid_markets.json")["data"]["liqwid"]["data"]["markets"]["results"]


def history() -> list[dict]:
    return fixture("liqwid_historical_transactions.json")["data"]["historical"]["transactions"][
        "results"
    ]


class HurriedClock(PushedClock):
    """A back-off is over at once."""

    async def sleep(self, seconds: float) -> None:
        if seconds >= 5:
            await super().sleep(seconds)


@pytest.fixture
async def provider() -> AsyncIterator[FakeLiqwid]:
    async with FakeLiqwid(markets=markets(), transactions={ADDRESS: history()}) as provider:
        yield provider


@pytest.fixture
def clock() -> PushedClock:
    return HurriedClock(START)


@pytest.fixture
async def liqwid(provider: FakeLiqwid, clock: PushedClock) -> AsyncIterator[Liqwid]:
    venue, http = build_liqwid(provider.url + "/graphql", clock)
    yield venue
    await http.stop()


def many(count: int) -> list[dict]:
    """A transaction an hour, of one token each."""
    return [
        {
            "id": f"{row:064x}",
            "type": "SUPPLY",
            "displayName": "DJED",
            "time": (LONG_AGO + timedelta(hours=row)).isoformat(timespec="milliseconds")[:-6] + "Z",
            "amount": 1,
            "exchangeRate": 0.02,
            "qAmount": 50,
        }
        for row in range(count)
    ]


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


async def test_caps_that_are_not_told_cost_no_market(liqwid: Liqwid, provider: FakeLiqwid) -> None:
    provider.errors["calculations"] = "Market DJED is not found"
    assert [market.withdraw_cap_units for market in await liqwid.markets()] == [None, None]


async def test_an_error_with_http_200_is_a_failure_in_the_venues_words(
    liqwid: Liqwid, provider: FakeLiqwid
) -> None:
    provider.answer("POST /graphql", json=fixture("errors/graphql_200_errors.json"))
    with pytest.raises(Unavailable, match='Cannot query field "exchangeRate"'):
        await liqwid.markets()


async def test_no_failure_holds_an_address(liqwid: Liqwid, provider: FakeLiqwid) -> None:
    provider.errors["transactions"] = f"unknown address {ADDRESS}, or {STAKE_ADDRESS}"
    with pytest.raises(Unavailable) as caught:
        await whole(liqwid)
    assert "unknown address (address), or (address)" in caught.value.message


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


async def test_a_wallet_holds_its_receipts_at_the_present_rate(
    liqwid: Liqwid, provider: FakeLiqwid
) -> None:
    provider.yields = [{"id": "DJED", "amount": 11.5}, {"id": "USDM", "amount": None}]
    (held,) = await liqwid.held([ADDRESS])
    receipts = Decimal("47393.36") + Decimal("23529.41") - Decimal("4694.83")
    assert (held.market, held.receipt_units) == ("DJED", receipts)
    assert held.units == receipts * Decimal("0.0213118822")
    assert held.venue_yield_units == Decimal("11.5")
    assert held.free_collateral_units is None


async def test_a_wallet_of_several_addresses_holds_what_they_hold_together(
    liqwid: Liqwid, provider: FakeLiqwid
) -> None:
    provider.transactions[OTHER] = [{**history()[0], "id": "f" * 64}]
    (alone,) = await liqwid.held([ADDRESS])
    (both,) = await liqwid.held([ADDRESS, OTHER])
    assert both.receipt_units == alone.receipt_units + Decimal("47393.36")


async def test_a_wallet_that_took_everything_out_holds_0_and_one_without_history_nothing(
    liqwid: Liqwid, provider: FakeLiqwid
) -> None:
    provider.transactions[ADDRESS] = [
        history()[0],
        {**history()[0], "id": "e" * 64, "type": "WITHDRAW", "qAmount": 47393.37},
    ]
    (held,) = await liqwid.held([ADDRESS])
    assert (held.units, held.receipt_units) == (0, 0)
    assert await liqwid.held([OTHER]) == []


async def test_what_loans_hold_is_not_free(liqwid: Liqwid, provider: FakeLiqwid) -> None:
    def loan(receipts: object) -> dict:
        held = {"id": "DJED.8db2", "qTokenAmount": receipts, "market": {"id": "DJED"}}
        other = {"id": "LQ", "qTokenAmount": None, "market": None}
        return {"id": "loan", "publicKey": KEY, "collaterals": [held, other]}

    provider.loans = [loan(10_000), loan("6227.94"), {**loan(99), "publicKey": "0" * 56}]
    (held,) = await liqwid.held([ADDRESS])
    assert held.free_collateral_units == Decimal(50_000) * Decimal("0.0213118822")
    provider.loans = [loan(1_000_000)]
    (held,) = await liqwid.held([ADDRESS])
    assert held.free_collateral_units == 0
    provider.loans = [loan(None)]
    with pytest.raises(Unavailable, match="a loan that cannot be read"):
        await liqwid.held([ADDRESS])


async def test_without_an_answer_about_loans_nothing_is_held(
    liqwid: Liqwid, provider: FakeLiqwid
) -> None:
    provider.errors["loans("] = "timeout"
    with pytest.raises(Unavailable, match="an error: timeout"):
        await liqwid.held([ADDRESS])


async def test_yields_that_are_not_told_cost_no_holding(
    liqwid: Liqwid, provider: FakeLiqwid
) -> None:
    provider.errors["yieldEarned"] = "timeout"
    (held,) = await liqwid.held([ADDRESS])
    assert held.venue_yield_units is None


async def test_a_transaction_without_receipts_leaves_the_holding_unknown(
    liqwid: Liqwid, provider: FakeLiqwid
) -> None:
    provider.transactions[ADDRESS] = [{**history()[0], "qAmount": None}]
    with pytest.raises(Unavailable, match="without its receipt tokens"):
        await liqwid.held([ADDRESS])


async def test_a_name_of_two_markets_leaves_the_holding_unknown(
    liqwid: Liqwid, provider: FakeLiqwid
) -> None:
    provider.markets[1] = {**provider.markets[1], "displayName": "DJED"}
    with pytest.raises(Unavailable, match="one of two markets of a name"):
        await liqwid.held([ADDRESS])


async def test_a_market_that_is_not_listed_any_more_costs_no_other(
    liqwid: Liqwid, provider: FakeLiqwid
) -> None:
    provider.transactions[ADDRESS] = [*history(), {**history()[0], "displayName": "SHEN"}]
    (held,) = await liqwid.held([ADDRESS])
    assert held.market == "DJED"


async def test_a_long_history_is_read_by_halves_and_then_only_what_is_new(
    liqwid: Liqwid, provider: FakeLiqwid, clock: PushedClock
) -> None:
    provider.transactions[ADDRESS] = many(350)
    (held,) = await liqwid.held([ADDRESS])
    assert held.receipt_units == 350 * 50
    asked = len(provider.queries("transactions("))
    assert asked > 4
    clock.advance(3600)
    late = {**many(1)[0], "id": "d" * 64, "time": "2026-11-21T00:30:00.000Z"}
    provider.transactions[ADDRESS].append(late)
    (held,) = await liqwid.held([ADDRESS])
    assert held.receipt_units == 351 * 50
    assert len(provider.queries("transactions(")) == asked + 1


async def test_a_second_that_does_not_fit_into_an_answer_is_a_failure(
    liqwid: Liqwid, provider: FakeLiqwid
) -> None:
    provider.transactions[ADDRESS] = [{**row, "time": many(1)[0]["time"]} for row in many(101)]
    with pytest.raises(Unavailable, match="of a second"):
        await liqwid.held([ADDRESS])


async def test_amounts_and_rates_of_one_evaluation_are_of_one_answer(
    liqwid: Liqwid, provider: FakeLiqwid, clock: PushedClock
) -> None:
    provider.transactions[OTHER] = [history()[0]]
    await liqwid.markets()
    provider.markets[0]["exchangeRate"] = 1
    (held,) = await liqwid.held([OTHER])
    assert held.units == Decimal("47393.36") * Decimal("0.0213118822")
    clock.advance(31)
    (held,) = await liqwid.held([OTHER])
    assert held.units == Decimal("47393.36")


async def test_usdc_and_usdt_may_be_bridged(liqwid: Liqwid, provider: FakeLiqwid) -> None:
    provider.markets = [{**markets()[0], "id": "wanUSDC", "symbol": "WANUSDC"}]
    found = await liqwid.markets()
    assert market_of("usdc", found) == found[0]
    assert market_of("usdm", found) is None


@pytest.mark.parametrize(
    ("address", "key"),
    [
        (ADDRESS, KEY),
        (OTHER, KEY),
        (f" {ADDRESS.upper()}", KEY),
        ("addr_test1vz2fxv2umyhttkxyxp8x0dlpdt3k6cwng5pxj3jhsydzerspjrlsz", KEY),
        (STAKE_ADDRESS, None),
        (ADDRESS[:-1] + "y", None),
        (ADDRESS[:40], None),
        (
            "DdzFFzCqrhszg6cqZvDhEwUX7cZyNzdycAVpm4Uo2vjKMgTLrVqiVKi3MBt2tFAtDe7NkptK6TAhVkiYzhavm",
            None,
        ),
        ("", None),
    ],
)
def test_the_payment_key_of_an_address_is_that_of_cip_19(address: str, key: str | None) -> None:
    assert payment_key_hash(address) == key
