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
from tests.contract.price.source_bench import REFERENCE_TIME, SourceBench

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


def script(bench: SourceBench, name: str) -> None:
    bench.provider.answer(PATHS[name], json=BODIES[name])
    if name == "coinbase":
        for asset, body in COINBASE.items():
            bench.provider.answer(f"GET /products/{asset}-USD/ticker", json=body)


async def quote(bench: SourceBench, name: str, asset: str = "BTC") -> Quote:
    return (await bench.ask(name, asset)).quotes[asset]


@pytest.mark.parametrize("name", sorted(REGISTRY))
async def test_good_answers_are_read_exactly(bench: SourceBench, name: str) -> None:
    script(bench, name)
    found = await bench.ask(name, "BTC", "ETH", "SOL", "SPX", "NOSUCH")
    prices = {
        asset: quote.price_usd
        for asset, quote in found.quotes.items()
        if quote.price_usd is not None
    }
    assert prices == GOOD[name]
    assert found.quotes["NOSUCH"].dropped_reason == Dropped.UNSUPPORTED
    assert found.result.quote_count == len(GOOD[name])
    for asset in prices:
        judged = agree(asset, [found.quotes[asset]], bench.clock.now(), None)
        assert judged.quality is (Quality.CLOSED if asset == "SPX" else Quality.SINGLE)


@pytest.mark.parametrize(("name", "body", "reason"), REASONS)
async def test_a_bad_quote_is_dropped_with_its_reason(
    bench: SourceBench, name: str, body: object, reason: str
) -> None:
    bench.provider.answer(PATHS[name], json=body)
    asset = ASSET.get(name, "BTC")
    found = await bench.ask(name, asset)
    assert found.result.failure == ""
    judged = agree(
        asset, [found.quotes[asset]], bench.clock.now(), LastGood(97_400.0, bench.clock.now())
    )
    assert judged.price_usd is None
    assert [quote.dropped_reason for quote in judged.quotes] == [reason]


@pytest.mark.parametrize(("name", "answer", "kind"), REFUSALS)
async def test_its_own_way_of_saying_no_is_understood(
    bench: SourceBench, name: str, answer: dict[str, Any], kind: str
) -> None:
    bench.provider.answer(PATHS[name], **answer)
    found = await bench.ask(name, ASSET.get(name, "BTC"))
    assert (found.result.failure, found.quotes) == (kind, {})


async def test_what_a_reader_should_know_is_said_with_the_quote(bench: SourceBench) -> None:
    for name in ("binance", "jupiter", "kraken", "coinbase"):
        script(bench, name)
    assert (await quote(bench, "binance")).notes == (Note.QUOTED_IN_USDT,)
    assert (await quote(bench, "kraken")).notes == (Note.TIME_OF_ANSWER,)
    assert (await quote(bench, "coinbase")).notes == ()
    assert (await quote(bench, "jupiter")).notes == (Note.TIME_OF_ANSWER, Note.BRIDGED)
    bench.clock.advance(2)
    assert (await quote(bench, "jupiter", "SOL")).notes == (Note.TIME_OF_ANSWER,)


@pytest.mark.parametrize(
    ("age", "seconds"), [("", 0), ("40", 40), ("130", 130), ("-5", 0), ("soon", 0), ("9" * 30, 0)]
)
async def test_a_price_without_a_time_is_as_old_as_a_cache_says(
    bench: SourceBench, age: str, seconds: int
) -> None:
    bench.provider.answer(PATHS["kraken"], json=KRAKEN, headers={"age": age})
    found = await quote(bench, "kraken")
    assert found.price_time == REFERENCE_TIME - timedelta(seconds=seconds)
    judged = agree("BTC", [found], bench.clock.now(), None)
    assert (judged.price_usd is None) == (seconds > 120)


async def test_the_range_of_the_day_is_read_where_it_is_told(bench: SourceBench) -> None:
    script(bench, "binance")
    script(bench, "kraken")
    binance, kraken = await quote(bench, "binance"), await quote(bench, "kraken")
    assert (binance.high_24h_usd, binance.low_24h_usd) == (99_500.0, 96_100.5)
    assert (kraken.high_24h_usd, kraken.low_24h_usd) == (98_931.0, 96_800.1)


@pytest.mark.parametrize("high", [None, 99_500.0, "0", "-1", "NaN", []])
async def test_a_range_that_cannot_be_read_costs_the_quote_nothing(
    bench: SourceBench, high: object
) -> None:
    bench.provider.answer(PATHS["binance"], json=ticker(highPrice=high))
    found = await quote(bench, "binance")
    assert (found.price_usd, found.high_24h_usd, found.low_24h_usd) == (97_425.01, None, 96_100.5)


async def test_coingecko_markets_give_price_and_range_in_one_call(bench: SourceBench) -> None:
    bench.provider.answer("GET /api/v3/coins/markets", json=MARKETS)
    bench.poller("coingecko", markets=True)
    found = await bench.ask("coingecko", "BTC", "ETH", "SOL")
    bitcoin, solana = found.quotes["BTC"], found.quotes["SOL"]
    assert (bitcoin.price_usd, bitcoin.high_24h_usd, bitcoin.low_24h_usd) == (
        97_401.0,
        99_446.42,
        96_134.79,
    )
    assert bitcoin.price_time == datetime(2026, 11, 20, 22, 59, 27, tzinfo=UTC)
    assert (solana.price_usd, solana.high_24h_usd, solana.low_24h_usd) == (182.35, None, None)
    assert found.quotes["ETH"].dropped_reason == Dropped.MISSING
    bench.provider.answer("GET /api/v3/coins/markets", json={"status": {"error_code": 429}})
    assert (await bench.ask("coingecko")).result.failure == "RATE_LIMITED"
    assert bench.parts["coingecko"].rate_limit.left() == 0


async def test_jupiter_is_asked_once_in_two_seconds_and_every_second_with_a_key(
    bench: SourceBench,
) -> None:
    script(bench, "jupiter")
    assert (await bench.ask("jupiter")).result.failure == ""
    bench.clock.advance(1.9)
    assert (await bench.ask("jupiter")).result.failure == "RATE_LIMITED"
    assert len(bench.provider.requests) == 1
    bench.clock.advance(0.1)
    assert (await bench.ask("jupiter")).result.failure == ""
    assert "x-api-key" not in bench.provider.requests[0].headers


async def test_a_key_of_jupiter_is_sent_and_lifts_its_pace(bench: SourceBench) -> None:
    script(bench, "jupiter")
    bench.poller("jupiter", api_key="a-key")
    await bench.ask("jupiter")
    bench.clock.advance(1)
    assert (await bench.ask("jupiter")).result.failure == ""
    assert bench.provider.requests[0].headers["x-api-key"] == "a-key"


async def test_jupiters_limit_ends_at_the_second_it_names(bench: SourceBench) -> None:
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(NOW_SECOND + 12)}
    bench.provider.answer(
        PATHS["jupiter"], status=429, json={"code": 429}, headers=headers, times=1
    )
    script(bench, "jupiter")
    assert (await bench.ask("jupiter")).result.failure == "RATE_LIMITED"
    bench.clock.advance(11.5)
    assert (await bench.ask("jupiter")).result.failure == "RATE_LIMITED"
    assert len(bench.provider.requests) == 1
    bench.clock.advance(0.6)
    assert (await bench.ask("jupiter")).result.failure == ""


async def test_binance_is_left_alone_until_its_ban_ends(bench: SourceBench) -> None:
    bench.provider.answer(
        PATHS["binance"], status=418, json={}, headers={"retry-after": "300"}, times=1
    )
    script(bench, "binance")
    assert (await bench.ask("binance")).result.failure == "BANNED"
    bench.clock.advance(299)
    assert (await bench.ask("binance")).result.failure == "BANNED"
    assert len(bench.provider.requests) == 1
    bench.clock.advance(1.5)
    assert (await bench.ask("binance")).result.failure == ""


async def test_a_region_binance_refuses_is_looked_at_again_within_15_minutes(
    bench: SourceBench,
) -> None:
    bench.provider.answer(PATHS["binance"], status=451, json={"code": 0, "msg": "no"}, times=4)
    script(bench, "binance")
    for wait_seconds in (60, 300, 900, 900):
        assert (await bench.ask("binance")).result.failure == "REFUSED"
        assert bench.parts["binance"].paused
        bench.clock.advance(wait_seconds - 1)
        assert (await bench.ask("binance")).result.failure == "REFUSED"
        bench.clock.advance(1)
    assert len(bench.provider.requests) == 4
    assert (await bench.ask("binance")).result.failure == ""


@pytest.mark.parametrize(
    ("used", "kind"), [("5401", "RATE_LIMITED"), ("5400", ""), ("many", ""), ("", "")]
)
async def test_a_weight_nearly_spent_is_a_pause_of_a_minute(
    bench: SourceBench, used: str, kind: str
) -> None:
    bench.provider.answer(PATHS["binance"], json=BINANCE, headers={"X-MBX-USED-WEIGHT-1M": used})
    assert (await bench.ask("binance")).result.failure == ""
    bench.clock.advance(59)
    assert (await bench.ask("binance")).result.failure == kind
    bench.clock.advance(2)
    assert (await bench.ask("binance")).result.failure == ""


async def test_a_warning_of_kraken_costs_its_prices_nothing(bench: SourceBench) -> None:
    bench.provider.answer(PATHS["kraken"], json={**KRAKEN, "error": ["WGeneral:Deprecated"]})
    assert (await bench.ask("kraken", "BTC", "ETH")).result.quote_count == 2


async def test_krakens_limit_with_status_200_holds_for_a_minute(bench: SourceBench) -> None:
    bench.provider.answer(PATHS["kraken"], json={"error": ["EAPI:Rate limit exceeded"]}, times=1)
    script(bench, "kraken")
    assert (await bench.ask("kraken")).result.failure == "RATE_LIMITED"
    bench.clock.advance(59)
    assert (await bench.ask("kraken")).result.failure == "RATE_LIMITED"
    assert len(bench.provider.requests) == 1
    bench.clock.advance(1)
    assert (await bench.ask("kraken")).result.failure == ""


async def test_one_product_coinbase_does_not_know_costs_the_others_nothing(
    bench: SourceBench,
) -> None:
    script(bench, "coinbase")
    bench.provider.answer("GET /products/ETH-USD/ticker", status=404, json={"message": "NotFound"})
    found = await bench.ask("coinbase", "BTC", "ETH", "SOL")
    assert (found.result.failure, found.result.quote_count) == ("", 2)
    assert found.quotes["ETH"].dropped_reason == "NOT_FOUND"


async def test_yahoo_sees_a_browser_and_is_not_asked_without_an_index(bench: SourceBench) -> None:
    script(bench, "yahoo")
    poller = bench.poller("yahoo")
    assert await poller.ask(Market.LIVE, ("BTC", "ETH"), REFERENCE_TIME) == []
    assert bench.provider.requests == []
    await bench.ask("yahoo", "SPX")
    assert bench.provider.requests[0].headers["user-agent"].startswith("Mozilla/5.0")


async def test_a_closed_market_is_not_stale_over_a_weekend(bench: SourceBench) -> None:
    script(bench, "yahoo")
    bench.clock.set_time(REFERENCE_TIME + timedelta(days=2, hours=14))
    judged = agree("SPX", [await quote(bench, "yahoo", "SPX")], bench.clock.now(), None)
    assert (judged.price_usd, judged.quality) == (6_712.48, Quality.CLOSED)


async def test_each_source_can_say_how_it_stands(bench: SourceBench) -> None:
    script(bench, "kraken")
    await bench.ask("kraken")
    before = {status.source: status for status in bench.poller("kraken").status()}
    assert list(before) == sorted(PATHS)
    kraken = before["kraken"]
    assert (kraken.state, kraken.calls_left, kraken.answer_count) == (SourceState.READY, 9, 1)
    assert (kraken.last_answer_time, kraken.last_failure) == (REFERENCE_TIME, "")
    assert before["binance"].state is SourceState.DISABLED
    assert before["binance"].calls_left is None
    bench.clock.advance(30)
    bench.provider.answer(PATHS["kraken"], status=429, headers={"retry-after": "20"})
    await bench.ask("kraken")
    limited = {status.source: status for status in bench.poller("kraken").status()}["kraken"]
    assert (limited.state, limited.last_failure) == (SourceState.PAUSED, "RATE_LIMITED")
    assert limited.last_failure_time == REFERENCE_TIME + timedelta(seconds=30)
    assert (limited.last_answer_time, limited.failure_count) == (REFERENCE_TIME, 1)
    bench.clock.advance(21)
    assert bench.poller("kraken").status()[4].state is SourceState.READY


EMPTY_ANSWERS = {
    "coingecko": {},
    "pyth": {"parsed": []},
    "jupiter": {},
    "binance": [],
    "kraken": {"error": [], "result": {}},
}


@pytest.mark.parametrize(("name", "body"), EMPTY_ANSWERS.items())
async def test_an_answer_with_nothing_of_what_was_asked_for_is_a_failure(
    bench: SourceBench, name: str, body: object
) -> None:
    bench.provider.answer(PATHS[name], json=body)
    answer = await bench.ask(name, "BTC", "ETH")
    assert answer.result.failure == "BAD_BODY" and "none of the 2 assets" in answer.result.message
