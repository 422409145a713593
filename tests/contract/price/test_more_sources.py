"""Every live source over real HTTP: its shape, its traps, its way of saying no, how it stands."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.price.domain.consensus import LastGood, agree
from services.price.domain.prices import Dropped, Market, Note, Quality, Quote, SourceState
from services.price.sources.registry import REGISTRY
from tests.contract.price.bodies import (
    BINANCE,
    COINBASE,
    COINGECKO,
    JUPITER,
    KRAKEN,
    MARKETS,
    NOW_SECOND,
    PATHS,
    PYTH,
    YAHOO,
    chart,
    pair,
    ticker,
    token,
)
from tests.contract.price.source_bench import REFERENCE_TIME, Desk

BODIES: dict[str, object] = {
    "binance": BINANCE,
    "coinbase": COINBASE["BTC"],
    "coingecko": COINGECKO,
    "jupiter": JUPITER,
    "kraken": KRAKEN,
    "pyth": PYTH,
    "yahoo": YAHOO,
}
GOOD: dict[str, dict[str, float]] = {
    "binance": {"BTC": 97_425.01, "ETH": 3_381.88, "SOL": 182.43},
    "coinbase": {"BTC": 97_418.21, "ETH": 3_381.02, "SOL": 182.41},
    "coingecko": {"BTC": 97_401.0, "ETH": 3_380.77, "SOL": 182.35},
    "jupiter": {"BTC": 97_388.04, "ETH": 3_380.11, "SOL": 182.3712},
    "kraken": {"BTC": 97_419.3, "ETH": 3_381.69, "SOL": 182.44},
    "pyth": {"BTC": 97_411.88450001, "ETH": 3_381.2199, "SOL": 182.40311},
    "yahoo": {"SPX": 6_712.48},
}
WRITTEN = "2026-11-20T22:59:59.411822Z"
REASONS: list[tuple[str, object, str]] = [
    ("jupiter", {}, Dropped.MISSING),
    ("jupiter", {"3NZ9JMVBmGAqocybic2c7LQCJScmgsAZ6vQqTDzcqmJh": None}, Dropped.MISSING),
    ("jupiter", {"3NZ9JMVBmGAqocybic2c7LQCJScmgsAZ6vQqTDzcqmJh": 5}, Dropped.NOT_A_NUMBER),
    ("jupiter", token(None), Dropped.MISSING),
    ("jupiter", token("97388.04"), Dropped.NOT_A_NUMBER),
    ("jupiter", token(True), Dropped.NOT_A_NUMBER),
    ("jupiter", token(0), Dropped.NOT_POSITIVE),
    ("jupiter", token(-1), Dropped.NOT_POSITIVE),
    ("jupiter", token(973.8804), Dropped.OUTLIER),
    ("binance", [], Dropped.MISSING),
    ("binance", [None, 5, {"symbol": 7}, {"symbol": "ETHUSDT"}], Dropped.MISSING),
    ("binance", ticker(lastPrice=None), Dropped.MISSING),
    ("binance", ticker(lastPrice=97_425.01), Dropped.NOT_A_NUMBER),
    ("binance", ticker(lastPrice="9.7e4"), Dropped.NOT_A_NUMBER),
    ("binance", ticker(lastPrice="NaN"), Dropped.NOT_A_NUMBER),
    ("binance", ticker(lastPrice="Infinity"), Dropped.NOT_A_NUMBER),
    ("binance", ticker(lastPrice=" 97425.01"), Dropped.NOT_A_NUMBER),
    ("binance", ticker(lastPrice="97\u0664"), Dropped.NOT_A_NUMBER),
    ("binance", ticker(lastPrice="0.00000000"), Dropped.NOT_POSITIVE),
    ("binance", ticker(lastPrice="-97425.01"), Dropped.NOT_POSITIVE),
    ("binance", ticker(closeTime=None), Dropped.BAD_TIME),
    ("binance", ticker(closeTime="1795215599789"), Dropped.BAD_TIME),
    ("binance", ticker(closeTime=10**40), Dropped.BAD_TIME),
    ("binance", ticker(closeTime=NOW_SECOND), Dropped.TOO_OLD),
    ("binance", ticker(closeTime=(NOW_SECOND - 121) * 1000), Dropped.TOO_OLD),
    ("binance", ticker(closeTime=(NOW_SECOND + 6) * 1000), Dropped.FROM_FUTURE),
    ("coinbase", {"time": WRITTEN}, Dropped.MISSING),
    ("coinbase", {"price": 97_418.21, "time": WRITTEN}, Dropped.NOT_A_NUMBER),
    ("coinbase", {"price": "97,418.21", "time": WRITTEN}, Dropped.NOT_A_NUMBER),
    ("coinbase", {"price": "0.00", "time": WRITTEN}, Dropped.NOT_POSITIVE),
    ("coinbase", {"price": "97418.21"}, Dropped.BAD_TIME),
    ("coinbase", {"price": "97418.21", "time": "2026-11-20T22:59:59"}, Dropped.BAD_TIME),
    ("coinbase", {"price": "97418.21", "time": "yesterday"}, Dropped.BAD_TIME),
    ("coinbase", {"price": "97418.21", "time": NOW_SECOND}, Dropped.BAD_TIME),
    ("coinbase", {"price": "97418.21", "time": "0001-01-01T00:00:00+14:00"}, Dropped.BAD_TIME),
    ("coinbase", {"price": "97418.21", "time": "2026-11-20T22:00:00Z"}, Dropped.TOO_OLD),
    ("coinbase", {"price": "97418.21", "time": "2026-11-20T23:00:06Z"}, Dropped.FROM_FUTURE),
    ("kraken", {"error": [], "result": {}}, Dropped.MISSING),
    ("kraken", {"error": [], "result": {"XXBTZEUR": {"c": ["9.0", "1"]}}}, Dropped.MISSING),
    ("kraken", {"error": [], "result": {"XXBTZUSD": []}}, Dropped.NOT_A_NUMBER),
    ("kraken", pair(c=None), Dropped.MISSING),
    ("kraken", pair(c=[]), Dropped.MISSING),
    ("kraken", pair(c="97419.3"), Dropped.MISSING),
    ("kraken", pair(c=[97_419.3]), Dropped.NOT_A_NUMBER),
    ("kraken", pair(c=["0.00000"]), Dropped.NOT_POSITIVE),
    ("yahoo", chart(regularMarketPrice=None), Dropped.MISSING),
    ("yahoo", chart(regularMarketPrice="6712.48"), Dropped.NOT_A_NUMBER),
    ("yahoo", chart(regularMarketPrice=-1), Dropped.NOT_POSITIVE),
    ("yahoo", chart(regularMarketTime=None), Dropped.BAD_TIME),
    ("yahoo", chart(regularMarketTime=NOW_SECOND + 6), Dropped.FROM_FUTURE),
    ("yahoo", chart(regularMarketTime=NOW_SECOND - 4 * 86_400 - 1), Dropped.TOO_OLD),
]
HTML = {
    "text": "<html><title>Access denied</title></html>",
    "headers": {"content-type": "text/html"},
}
TEXT = {"content-type": "text/plain"}
REFUSALS: list[tuple[str, dict[str, Any], str]] = [
    ("jupiter", {"json": {"data": {}, "timeTaken": 0.002}}, "BAD_BODY"),
    ("jupiter", {"json": []}, "BAD_BODY"),
    ("jupiter", {"json": {"code": 429, "message": "slow"}, "status": 429}, "RATE_LIMITED"),
    ("binance", {"json": {"code": -1121, "msg": "Invalid symbol."}, "status": 400}, "BAD_STATUS"),
    ("binance", {"json": {"code": -1003, "msg": "later"}}, "BAD_BODY"),
    ("binance", {"json": {"code": -1003, "msg": "later"}, "status": 429}, "RATE_LIMITED"),
    ("binance", {"json": {"code": -1003, "msg": "banned"}, "status": 418}, "BANNED"),
    ("binance", {"json": {"code": 0, "msg": "not here"}, "status": 451}, "REFUSED"),
    ("coinbase", {"json": {"message": "NotFound"}, "status": 404}, "NOT_FOUND"),
    (
        "coinbase",
        {"json": {"message": "Public rate limit exceeded"}, "status": 429},
        "RATE_LIMITED",
    ),
    ("coinbase", {"json": {"message": "Public rate limit exceeded"}}, "BAD_BODY"),
    ("coinbase", {"json": [1]}, "BAD_BODY"),
    ("kraken", {"json": {"error": ["EAPI:Rate limit exceeded"]}}, "RATE_LIMITED"),
    ("kraken", {"json": {"error": ["EGeneral:Too many requests"]}}, "RATE_LIMITED"),
    ("kraken", {"json": {"error": ["EService:Unavailable"]}}, "SERVER_ERROR"),
    ("kraken", {"json": {"error": ["EQuery:Unknown asset pair"]}}, "NOT_FOUND"),
    ("kraken", {"json": {"error": ["EGeneral:Internal error"], "result": {}}}, "BAD_BODY"),
    ("kraken", {"json": {"error": [5], "result": {}}}, "BAD_BODY"),
    ("kraken", {"json": {"error": "none", "result": {}}}, "BAD_BODY"),
    ("kraken", {"json": {"result": {}}}, "BAD_BODY"),
    ("kraken", {"json": {"error": [], "result": []}}, "BAD_BODY"),
    ("kraken", {"json": []}, "BAD_BODY"),
    ("yahoo", {"text": "Edge: slow down", "status": 429, "headers": TEXT}, "RATE_LIMITED"),
    ("yahoo", {"json": {"chart": {"result": None, "error": {"code": "Not Found"}}}}, "NOT_FOUND"),
    ("yahoo", {"json": {"chart": {"result": None, "error": {"code": "Bad"}}}}, "BAD_BODY"),
    ("yahoo", {"json": {"chart": {"result": None, "error": "Bad"}}}, "BAD_BODY"),
    (
        "yahoo",
        {"json": {"chart": {"result": None, "error": {"code": "x"}}}, "status": 404},
        "NOT_FOUND",
    ),
    ("yahoo", {"json": {"chart": {"result": [], "error": None}}}, "BAD_BODY"),
    ("yahoo", {"json": {"chart": {"result": [{"meta": None}]}}}, "BAD_BODY"),
    ("yahoo", {"json": {"finance": {}}}, "BAD_BODY"),
    ("yahoo", {"json": chart(symbol="^DJI")}, "BAD_BODY"),
    ("yahoo", {"json": chart(currency="EUR")}, "BAD_BODY"),
    ("coingecko", {"json": []}, "BAD_BODY"),
    ("pyth", {"json": {"parsed": {}}}, "BAD_BODY"),
]
ASSET = {"yahoo": "SPX"}


def script(desk: Desk, name: str) -> None:
    desk.provider.answer(PATHS[name], json=BODIES[name])
    if name == "coinbase":
        for asset, body in COINBASE.items():
            desk.provider.answer(f"GET /products/{asset}-USD/ticker", json=body)


async def quote(desk: Desk, name: str, asset: str = "BTC") -> Quote:
    return (await desk.ask(name, asset)).quotes[asset]


@pytest.mark.parametrize("name", sorted(REGISTRY))
async def test_good_answers_are_read_exactly(desk: Desk, name: str) -> None:
    script(desk, name)
    found = await desk.ask(name, "BTC", "ETH", "SOL", "SPX", "NOSUCH")
    prices = {
        asset: quote.price_usd
        for asset, quote in found.quotes.items()
        if quote.price_usd is not None
    }
    assert prices == GOOD[name]
    assert found.quotes["NOSUCH"].dropped_reason == Dropped.UNSUPPORTED
    assert found.result.quote_count == len(GOOD[name])
    for asset in prices:
        judged = agree(asset, [found.quotes[asset]], desk.clock.now(), None)
        assert judged.quality is (Quality.CLOSED if asset == "SPX" else Quality.SINGLE)


@pytest.mark.parametrize(("name", "body", "reason"), REASONS)
async def test_a_bad_quote_is_dropped_with_its_reason(
    desk: Desk, name: str, body: object, reason: str
) -> None:
    desk.provider.answer(PATHS[name], json=body)
    asset = ASSET.get(name, "BTC")
    found = await desk.ask(name, asset)
    assert found.result.failure == ""
    judged = agree(
        asset, [found.quotes[asset]], desk.clock.now(), LastGood(97_400.0, desk.clock.now())
    )
    assert judged.price_usd is None
    assert [quote.dropped_reason for quote in judged.quotes] == [reason]


@pytest.mark.parametrize(("name", "answer", "kind"), REFUSALS)
async def test_its_own_way_of_saying_no_is_understood(
    desk: Desk, name: str, answer: dict[str, Any], kind: str
) -> None:
    desk.provider.answer(PATHS[name], **answer)
    found = await desk.ask(name, ASSET.get(name, "BTC"))
    assert (found.result.failure, found.quotes) == (kind, {})


async def test_what_a_reader_should_know_is_said_with_the_quote(desk: Desk) -> None:
    for name in ("binance", "jupiter", "kraken", "coinbase"):
        script(desk, name)
    assert (await quote(desk, "binance")).notes == (Note.QUOTED_IN_USDT,)
    assert (await quote(desk, "kraken")).notes == (Note.TIME_OF_ANSWER,)
    assert (await quote(desk, "coinbase")).notes == ()
    assert (await quote(desk, "jupiter")).notes == (Note.TIME_OF_ANSWER, Note.BRIDGED)
    desk.clock.advance(2)
    assert (await quote(desk, "jupiter", "SOL")).notes == (Note.TIME_OF_ANSWER,)


@pytest.mark.parametrize(
    ("age", "seconds"), [("", 0), ("40", 40), ("130", 130), ("-5", 0), ("soon", 0), ("9" * 30, 0)]
)
async def test_a_price_without_a_time_is_as_old_as_a_cache_says(
    desk: Desk, age: str, seconds: int
) -> None:
    desk.provider.answer(PATHS["kraken"], json=KRAKEN, headers={"age": age})
    found = await quote(desk, "kraken")
    assert found.price_time == REFERENCE_TIME - timedelta(seconds=seconds)
    judged = agree("BTC", [found], desk.clock.now(), None)
    assert (judged.price_usd is None) == (seconds > 120)


async def test_the_range_of_the_day_is_read_where_it_is_told(desk: Desk) -> None:
    script(desk, "binance")
    script(desk, "kraken")
    binance, kraken = await quote(desk, "binance"), await quote(desk, "kraken")
    assert (binance.high_24h_usd, binance.low_24h_usd) == (99_500.0, 96_100.5)
    assert (kraken.high_24h_usd, kraken.low_24h_usd) == (98_931.0, 96_800.1)


@pytest.mark.parametrize("high", [None, 99_500.0, "0", "-1", "NaN", []])
async def test_a_range_that_cannot_be_read_costs_the_quote_nothing(
    desk: Desk, high: object
) -> None:
    desk.provider.answer(PATHS["binance"], json=ticker(highPrice=high))
    found = await quote(desk, "binance")
    assert (found.price_usd, found.high_24h_usd, found.low_24h_usd) == (97_425.01, None, 96_100.5)


async def test_coingecko_markets_give_price_and_range_in_one_call(desk: Desk) -> None:
    desk.provider.answer("GET /api/v3/coins/markets", json=MARKETS)
    desk.poller("coingecko", markets=True)
    found = await desk.ask("coingecko", "BTC", "ETH", "SOL")
    bitcoin, solana = found.quotes["BTC"], found.quotes["SOL"]
    assert (bitcoin.price_usd, bitcoin.high_24h_usd, bitcoin.low_24h_usd) == (
        97_401.0,
        99_446.42,
        96_134.79,
    )
    assert bitcoin.price_time == datetime(2026, 11, 20, 22, 59, 27, tzinfo=UTC)
    assert (solana.price_usd, solana.high_24h_usd, solana.low_24h_usd) == (182.35, None, None)
    assert found.quotes["ETH"].dropped_reason == Dropped.MISSING
    desk.provider.answer("GET /api/v3/coins/markets", json={"status": {"error_code": 429}})
    assert (await desk.ask("coingecko")).result.failure == "RATE_LIMITED"
    assert desk.parts["coingecko"].rate_limit.left() == 0


async def test_jupiter_is_asked_once_in_two_seconds_and_every_second_with_a_key(desk: Desk) -> None:
    script(desk, "jupiter")
    assert (await desk.ask("jupiter")).result.failure == ""
    desk.clock.advance(1.9)
    assert (await desk.ask("jupiter")).result.failure == "RATE_LIMITED"
    assert len(desk.provider.requests) == 1
    desk.clock.advance(0.1)
    assert (await desk.ask("jupiter")).result.failure == ""
    assert "x-api-key" not in desk.provider.requests[0].headers


async def test_a_key_of_jupiter_is_sent_and_lifts_its_pace(desk: Desk) -> None:
    script(desk, "jupiter")
    desk.poller("jupiter", api_key="a-key")
    await desk.ask("jupiter")
    desk.clock.advance(1)
    assert (await desk.ask("jupiter")).result.failure == ""
    assert desk.provider.requests[0].headers["x-api-key"] == "a-key"


async def test_jupiters_limit_ends_at_the_second_it_names(desk: Desk) -> None:
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(NOW_SECOND + 12)}
    desk.provider.answer(PATHS["jupiter"], status=429, json={"code": 429}, headers=headers, times=1)
    script(desk, "jupiter")
    assert (await desk.ask("jupiter")).result.failure == "RATE_LIMITED"
    desk.clock.advance(11.5)
    assert (await desk.ask("jupiter")).result.failure == "RATE_LIMITED"
    assert len(desk.provider.requests) == 1
    desk.clock.advance(0.6)
    assert (await desk.ask("jupiter")).result.failure == ""


async def test_binance_is_left_alone_until_its_ban_ends(desk: Desk) -> None:
    desk.provider.answer(
        PATHS["binance"], status=418, json={}, headers={"retry-after": "300"}, times=1
    )
    script(desk, "binance")
    assert (await desk.ask("binance")).result.failure == "BANNED"
    desk.clock.advance(299)
    assert (await desk.ask("binance")).result.failure == "BANNED"
    assert len(desk.provider.requests) == 1
    desk.clock.advance(1.5)
    assert (await desk.ask("binance")).result.failure == ""


async def test_a_region_binance_refuses_is_looked_at_again_within_15_minutes(desk: Desk) -> None:
    desk.provider.answer(PATHS["binance"], status=451, json={"code": 0, "msg": "no"}, times=4)
    script(desk, "binance")
    for wait_seconds in (60, 300, 900, 900):
        assert (await desk.ask("binance")).result.failure == "REFUSED"
        assert desk.parts["binance"].paused
        desk.clock.advance(wait_seconds - 1)
        assert (await desk.ask("binance")).result.failure == "REFUSED"
        desk.clock.advance(1)
    assert len(desk.provider.requests) == 4
    assert (await desk.ask("binance")).result.failure == ""


@pytest.mark.parametrize(
    ("used", "kind"), [("5401", "RATE_LIMITED"), ("5400", ""), ("many", ""), ("", "")]
)
async def test_a_weight_nearly_spent_is_a_pause_of_a_minute(
    desk: Desk, used: str, kind: str
) -> None:
    desk.provider.answer(PATHS["binance"], json=BINANCE, headers={"X-MBX-USED-WEIGHT-1M": used})
    assert (await desk.ask("binance")).result.failure == ""
    desk.clock.advance(59)
    assert (await desk.ask("binance")).result.failure == kind
    desk.clock.advance(2)
    assert (await desk.ask("binance")).result.failure == ""


async def test_a_warning_of_kraken_costs_its_prices_nothing(desk: Desk) -> None:
    desk.provider.answer(PATHS["kraken"], json={**KRAKEN, "error": ["WGeneral:Deprecated"]})
    assert (await desk.ask("kraken", "BTC", "ETH")).result.quote_count == 2


async def test_krakens_limit_with_status_200_holds_for_a_minute(desk: Desk) -> None:
    desk.provider.answer(PATHS["kraken"], json={"error": ["EAPI:Rate limit exceeded"]}, times=1)
    script(desk, "kraken")
    assert (await desk.ask("kraken")).result.failure == "RATE_LIMITED"
    desk.clock.advance(59)
    assert (await desk.ask("kraken")).result.failure == "RATE_LIMITED"
    assert len(desk.provider.requests) == 1
    desk.clock.advance(1)
    assert (await desk.ask("kraken")).result.failure == ""


async def test_one_product_coinbase_does_not_know_costs_the_others_nothing(desk: Desk) -> None:
    script(desk, "coinbase")
    desk.provider.answer("GET /products/ETH-USD/ticker", status=404, json={"message": "NotFound"})
    found = await desk.ask("coinbase", "BTC", "ETH", "SOL")
    assert (found.result.failure, found.result.quote_count) == ("", 2)
    assert found.quotes["ETH"].dropped_reason == "NOT_FOUND"


async def test_yahoo_sees_a_browser_and_is_not_asked_without_an_index(desk: Desk) -> None:
    script(desk, "yahoo")
    poller = desk.poller("yahoo")
    assert await poller.ask(Market.LIVE, ("BTC", "ETH"), REFERENCE_TIME) == []
    assert desk.provider.requests == []
    await desk.ask("yahoo", "SPX")
    assert desk.provider.requests[0].headers["user-agent"].startswith("Mozilla/5.0")


async def test_a_closed_market_is_not_stale_over_a_weekend(desk: Desk) -> None:
    script(desk, "yahoo")
    desk.clock.set_time(REFERENCE_TIME + timedelta(days=2, hours=14))
    judged = agree("SPX", [await quote(desk, "yahoo", "SPX")], desk.clock.now(), None)
    assert (judged.price_usd, judged.quality) == (6_712.48, Quality.CLOSED)


async def test_each_source_can_say_how_it_stands(desk: Desk) -> None:
    script(desk, "kraken")
    await desk.ask("kraken")
    before = {status.source: status for status in desk.poller("kraken").status()}
    assert list(before) == sorted(PATHS)
    kraken = before["kraken"]
    assert (kraken.state, kraken.calls_left, kraken.answer_count) == (SourceState.READY, 9, 1)
    assert (kraken.last_answer_time, kraken.last_failure) == (REFERENCE_TIME, "")
    assert before["binance"].state is SourceState.DISABLED
    assert before["binance"].calls_left is None
    desk.clock.advance(30)
    desk.provider.answer(PATHS["kraken"], status=429, headers={"retry-after": "20"})
    await desk.ask("kraken")
    limited = {status.source: status for status in desk.poller("kraken").status()}["kraken"]
    assert (limited.state, limited.last_failure) == (SourceState.PAUSED, "RATE_LIMITED")
    assert limited.last_failure_time == REFERENCE_TIME + timedelta(seconds=30)
    assert (limited.last_answer_time, limited.failure_count) == (REFERENCE_TIME, 1)
    desk.clock.advance(21)
    assert desk.poller("kraken").status()[4].state is SourceState.READY


EMPTY_ANSWERS = {
    "coingecko": {},
    "pyth": {"parsed": []},
    "jupiter": {},
    "binance": [],
    "kraken": {"error": [], "result": {}},
}


@pytest.mark.parametrize(("name", "body"), EMPTY_ANSWERS.items())
async def test_an_answer_with_nothing_of_what_was_asked_for_is_a_failure(
    desk: Desk, name: str, body: object
) -> None:
    desk.provider.answer(PATHS[name], json=body)
    answer = await desk.ask(name, "BTC", "ETH")
    assert answer.result.failure == "BAD_BODY" and "none of the 2 assets" in answer.result.message
