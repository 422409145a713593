"""Every bad answer a source can give, over real HTTP: refused with its reason, never a price."""

from __future__ import annotations

from typing import Any

import pytest

from services.price.domain.consensus import LastGood, agree
from services.price.domain.prices import Dropped, Market
from services.price.sources.polling import Poller
from services.price.sources.registry import REGISTRY
from services.price.sources.source import SourceSetup
from shared.clock import PushedClock
from shared.metrics import Metrics
from tests.contract.price.bodies import (
    COINGECKO,
    COINGECKO_PATH,
    NOW_SECOND,
    PATHS,
    PYTH,
    PYTH_PATH,
    coin,
    feed,
)
from tests.contract.price.source_bench import REFERENCE_TIME, SourceBench
from tests.fakes.http_provider import HttpProvider

HTML = {"text": "<html><h1>Sorry</h1></html>", "headers": {"content-type": "text/html"}}
SOURCES = sorted(PATHS)
ASSETS = {name: "SPX" if name == "yahoo" else "BTC" for name in SOURCES}

FAILURES: list[tuple[dict[str, Any], str]] = [
    (
        {"status": 429, "json": {"status": {"error_code": 429}}, "headers": {"retry-after": "60"}},
        "RATE_LIMITED",
    ),
    (
        {"status": 429, "text": "slow down", "headers": {"content-type": "text/plain"}},
        "RATE_LIMITED",
    ),
    ({"status": 418, "json": {}}, "BANNED"),
    (
        {"status": 401, "json": {"status": {"error_code": 10002, "error_message": "no key"}}},
        "REFUSED",
    ),
    ({"status": 403, **HTML}, "REFUSED"),
    ({"status": 451, **HTML}, "REFUSED"),
    ({"status": 500, "json": {}}, "SERVER_ERROR"),
    ({"status": 502, **HTML}, "SERVER_ERROR"),
    (
        {"status": 404, "text": "no such feed", "headers": {"content-type": "text/plain"}},
        "NOT_FOUND",
    ),
    ({"status": 400, "json": {"error": "bad"}}, "BAD_STATUS"),
    ({"status": 302, "headers": {"location": "http://127.0.0.1:9/"}}, "BAD_STATUS"),
    (HTML, "BAD_BODY"),
    ({"text": "<html></html>"}, "BAD_BODY"),
    ({"text": ""}, "BAD_BODY"),
    ({"text": '{"bitcoin":{"usd":974'}, "BAD_BODY"),
    ({"text": '{"bitcoin":{"usd":NaN,"last_updated_at":1795215590}}'}, "BAD_BODY"),
    ({"text": '{"bitcoin":{"usd":1e400,"last_updated_at":1795215590}}'}, "BAD_BODY"),
    ({"json": 5}, "BAD_BODY"),
    ({"json": None}, "BAD_BODY"),
    ({"json": "bitcoin"}, "BAD_BODY"),
    ({"text": "[" * 100_000}, "BAD_BODY"),
    ({"json": {}, "truncate": True}, "BAD_BODY"),
    ({"json": {}, "close": True}, "CONNECT"),
    ({"json": {}, "silent": True}, "TIMEOUT"),
    ({"json": {"a": 1}, "hang": True}, "TIMEOUT"),
    ({"json": {"a": "b" * 60}, "drip": True}, "TIMEOUT"),
]

COIN_REASONS: list[tuple[object, str]] = [
    ({}, Dropped.MISSING),
    ({"bitcoin": None}, Dropped.MISSING),
    ({"bitcoin": {}}, Dropped.MISSING),
    ({"bitcoin": {"price": 97_401.0, "last_updated_at": NOW_SECOND}}, Dropped.MISSING),
    ({"bitcoin": 97_401.0}, Dropped.NOT_A_NUMBER),
    (coin("97401.0"), Dropped.NOT_A_NUMBER),
    (coin(True), Dropped.NOT_A_NUMBER),
    (coin([97_401.0]), Dropped.NOT_A_NUMBER),
    (coin(0), Dropped.NOT_POSITIVE),
    (coin(-97_401.0), Dropped.NOT_POSITIVE),
    (coin(974.01), Dropped.OUTLIER),
    (coin(97_401.0, NOW_SECOND - 7200), Dropped.TOO_OLD),
    (coin(97_401.0, NOW_SECOND + 3600), Dropped.FROM_FUTURE),
    (coin(97_401.0, None), Dropped.BAD_TIME),
    (coin(97_401.0, str(NOW_SECOND)), Dropped.BAD_TIME),
    (coin(97_401.0, NOW_SECOND * 1000), Dropped.BAD_TIME),
    (coin(97_401.0, -1e300), Dropped.BAD_TIME),
]

FEED_REASONS: list[tuple[object, str]] = [
    ({"parsed": []}, Dropped.MISSING),
    ({"parsed": [None, 7, {"id": 5}]}, Dropped.MISSING),
    (feed(price=None), Dropped.MISSING),
    (feed(expo=None), Dropped.MISSING),
    (feed(conf=None), Dropped.MISSING),
    ({"parsed": [{"id": PYTH["parsed"][0]["id"], "price": 5}]}, Dropped.NOT_A_NUMBER),
    (feed(price="97411.88"), Dropped.NOT_A_NUMBER),
    (feed(price="9e12"), Dropped.NOT_A_NUMBER),
    (feed(price=" 9741188450001"), Dropped.NOT_A_NUMBER),
    (feed(price=9741188450001.5), Dropped.NOT_A_NUMBER),
    (feed(price=True), Dropped.NOT_A_NUMBER),
    (feed(expo="-8"), Dropped.NOT_A_NUMBER),
    (feed(expo=99_999_999), Dropped.NOT_FINITE),
    (feed(price="0", conf="0"), Dropped.NOT_POSITIVE),
    (feed(price="-9741188450001"), Dropped.NOT_POSITIVE),
    (feed(expo=-6), Dropped.OUTLIER),
    (feed(conf="633177249251"), Dropped.WIDE_CONFIDENCE),
    (feed(conf="-5"), Dropped.WIDE_CONFIDENCE),
    (feed(publish_time=NOW_SECOND - 121), Dropped.TOO_OLD),
    (feed(publish_time=NOW_SECOND + 6), Dropped.FROM_FUTURE),
    (feed(publish_time=None), Dropped.BAD_TIME),
    (feed(publish_time="soon"), Dropped.BAD_TIME),
]


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize(("answer", "kind"), FAILURES)
async def test_a_failed_call_is_a_row_with_its_kind_and_no_quote(
    bench: SourceBench, name: str, answer: dict[str, Any], kind: str
) -> None:
    bench.provider.answer(PATHS[name], **answer)
    bench.poller(name, timeout_seconds=0.2 if kind == "TIMEOUT" else 2.0)
    found = await bench.ask(name, ASSETS[name])
    assert (found.result.failure, found.result.quote_count, found.quotes) == (kind, 0, {})
    assert found.result.message
    assert "127.0.0.1" not in found.result.message
    count = bench.metrics.counter("sonic_price_source_calls_total", "", ("source", "outcome"))
    assert count.labels(name, kind)._value.get() == 1


@pytest.mark.parametrize(
    ("name", "body", "reason"),
    [("coingecko", *row) for row in COIN_REASONS] + [("pyth", *row) for row in FEED_REASONS],
)
async def test_a_bad_quote_is_dropped_with_its_reason(
    bench: SourceBench, name: str, body: object, reason: str
) -> None:
    bench.provider.answer(PATHS[name], json=body)
    found = await bench.ask(name)
    assert found.result.failure == ""
    last_good = LastGood(97_400.0, bench.clock.now())
    judged = agree("BTC", [found.quotes["BTC"]], bench.clock.now(), last_good)
    assert judged.price_usd is None
    assert [quote.dropped_reason for quote in judged.quotes] == [reason]


async def test_coingecko_is_asked_as_its_pages_say(bench: SourceBench) -> None:
    bench.provider.answer(COINGECKO_PATH, json=COINGECKO)
    bench.poller("coingecko", api_key="a-demo-key")
    await bench.ask("coingecko", "BTC", "SOL")
    asked = bench.provider.asked(COINGECKO_PATH)[0]
    assert asked.query == {
        "ids": "bitcoin,solana",
        "vs_currencies": "usd",
        "include_last_updated_at": "true",
    }
    assert asked.headers["x-cg-demo-api-key"] == "a-demo-key"


async def test_pyth_is_asked_for_each_feed(bench: SourceBench) -> None:
    bench.provider.answer(PYTH_PATH, json=PYTH)
    await bench.ask("pyth", "BTC", "ETH")
    pairs = bench.provider.asked(PYTH_PATH)[0].pairs
    assert [name for name, _ in pairs] == ["ids[]", "ids[]", "ignore_invalid_price_ids"]
    assert pairs[0][1].startswith("e62df6c8")


@pytest.mark.parametrize("prefix", ["/mirror", "/mirror/", "/a/b"])
async def test_a_base_address_may_have_a_path(bench: SourceBench, prefix: str) -> None:
    route = f"GET {prefix.rstrip('/')}{COINGECKO_PATH.removeprefix('GET ')}"
    bench.provider.answer(route, json=COINGECKO)
    bench.poller("coingecko", prefix=prefix)
    assert (await bench.ask("coingecko")).result.quote_count == 1


async def test_over_its_calls_a_minute_coingecko_is_not_asked(bench: SourceBench) -> None:
    bench.provider.answer(COINGECKO_PATH, json=COINGECKO)
    kinds = [(await bench.ask("coingecko")).result.failure for _ in range(32)]
    assert kinds == [""] * 30 + ["RATE_LIMITED", "RATE_LIMITED"]
    assert len(bench.provider.requests) == 30
    bench.clock.advance(60)
    assert (await bench.ask("coingecko")).result.failure == ""


async def test_a_limit_told_with_status_200_is_believed_for_a_minute(bench: SourceBench) -> None:
    limited = {"status": {"error_code": 429, "error_message": "too many"}}
    bench.provider.answer(COINGECKO_PATH, json=limited, times=1)
    bench.provider.answer(COINGECKO_PATH, json=COINGECKO)
    assert (await bench.ask("coingecko")).result.failure == "RATE_LIMITED"
    bench.clock.advance(59)
    assert (await bench.ask("coingecko")).result.failure == "RATE_LIMITED"
    assert len(bench.provider.requests) == 1
    bench.clock.advance(1)
    assert (await bench.ask("coingecko")).result.failure == ""


async def test_another_error_with_status_200_is_a_bad_body(bench: SourceBench) -> None:
    bench.provider.answer(
        COINGECKO_PATH, json={"status": {"error_code": 10_010, "error_message": "no"}}
    )
    assert (await bench.ask("coingecko")).result.failure == "BAD_BODY"


async def test_a_429_is_remembered_until_its_time(bench: SourceBench) -> None:
    bench.provider.answer(PYTH_PATH, status=429, headers={"retry-after": "60"}, times=1)
    bench.provider.answer(PYTH_PATH, json=PYTH)
    assert (await bench.ask("pyth")).result.failure == "RATE_LIMITED"
    bench.clock.advance(59)
    assert (await bench.ask("pyth")).result.failure == "RATE_LIMITED"
    assert len(bench.provider.requests) == 1
    bench.clock.advance(1.5)
    assert (await bench.ask("pyth")).result.failure == ""


async def test_pyth_is_tried_again_after_a_passing_fault(bench: SourceBench) -> None:
    bench.provider.answer(PYTH_PATH, status=503, times=2)
    bench.provider.answer(PYTH_PATH, json=PYTH)
    bench.poller("pyth", timeout_seconds=5.0)
    assert (await bench.ask("pyth")).result.failure == ""
    assert len(bench.provider.requests) == 3


async def test_five_failures_open_the_circuit_and_a_probe_closes_it(bench: SourceBench) -> None:
    for _ in range(5):
        bench.provider.answer(COINGECKO_PATH, status=500)
        await bench.ask("coingecko")
        bench.clock.advance(20)
    asked = len(bench.provider.requests)
    assert (await bench.ask("coingecko")).result.failure == "CIRCUIT_OPEN"
    assert len(bench.provider.requests) == asked
    bench.clock.advance(30)
    bench.provider.answer(COINGECKO_PATH, json=COINGECKO)
    assert (await bench.ask("coingecko")).result.failure == ""


class Broken:
    name = "broken"
    assets = None

    async def quotes(self, assets: object) -> dict[str, Any]:
        raise KeyError("a fault of ours")


async def test_a_fault_of_one_adapter_costs_the_others_nothing() -> None:
    clock = PushedClock(REFERENCE_TIME)
    async with HttpProvider() as provider:
        provider.answer(PYTH_PATH, json=PYTH)
        pyth, http = REGISTRY["pyth"].connect(SourceSetup(provider.url, "", 1.0, clock))
        poller = Poller([Broken(), pyth], "sonic", clock, Metrics())
        answers = await poller.ask(Market.LIVE, ("BTC",), REFERENCE_TIME)
        await http.stop()
    assert [answer.result.failure for answer in answers] == ["INTERNAL", ""]
    assert "a fault of ours" not in answers[0].result.message
