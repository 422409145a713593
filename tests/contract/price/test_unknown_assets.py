"""One asset a source does not know costs that asset this source, and no other one; it is asked for
again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from services.price.sources import binance, kraken, pyth
from services.price.sources.unknown_assets import FIRST_SECONDS, MOST_SECONDS
from tests.contract.price.bodies import BINANCE, COINBASE, COINGECKO, KRAKEN, PATHS, PYTH
from tests.contract.price.source_bench import SourceBench

TEXT = {"content-type": "text/plain"}


def _symbols(assets: Sequence[str]) -> dict[str, str]:
    return {
        "symbols": json.dumps([binance.symbol(asset) for asset in assets], separators=(",", ":"))
    }


def _pairs(assets: Sequence[str]) -> dict[str, str]:
    return {"pair": ",".join(kraken.PAIRS[asset][0] for asset in assets)}


def _last_feed(assets: Sequence[str]) -> dict[str, str]:
    """Repeated parameters: the last one counts; SOL, the unknown one, is always asked for last."""
    return {"ids[]": pyth.FEEDS[assets[-1]]}


# The ways of the providers to say it, as they were recorded.
SAID: dict[str, tuple[dict[str, Any], object, Callable[[Sequence[str]], dict[str, str]]]] = {
    "binance": (
        {"status": 400, "json": {"code": -1121, "msg": "Invalid symbol."}},
        BINANCE,
        _symbols,
    ),
    "kraken": ({"json": {"error": ["EQuery:Unknown asset pair"]}}, KRAKEN, _pairs),
    "pyth": (
        {"status": 404, "text": "Price ids not found: 0xdeadbeef", "headers": TEXT},
        PYTH,
        _last_feed,
    ),
}


def without_sol(bench: SourceBench, name: str) -> None:
    """A source that does not know SOL, and says so for the whole question."""
    said, good, where = SAID[name]
    bench.provider.answer(PATHS[name], **said)
    for assets in (("BTC",), ("ETH",), ("BTC", "ETH")):
        bench.provider.answer(PATHS[name], json=good, where=where(assets))


@pytest.mark.parametrize("name", sorted(SAID))
async def test_an_unknown_asset_costs_the_others_nothing_and_is_named(
    bench: SourceBench, name: str
) -> None:
    without_sol(bench, name)
    found = await bench.ask(name, "BTC", "ETH", "SOL")
    assert (found.result.failure, found.result.quote_count) == ("", 2)
    assert found.result.message == "it does not know SOL"
    assert found.quotes["SOL"].dropped_reason == "NOT_FOUND"
    assert {asset for asset, quote in found.quotes.items() if quote.price_usd} == {"BTC", "ETH"}


@pytest.mark.parametrize("name", sorted(SAID))
async def test_it_is_left_out_for_a_while_and_never_for_ever(bench: SourceBench, name: str) -> None:
    without_sol(bench, name)
    await bench.ask(name, "BTC", "ETH", "SOL")
    bench.clock.advance(60)
    before = len(bench.provider.requests)
    found = await bench.ask(name, "BTC", "ETH", "SOL")
    assert len(bench.provider.requests) == before + 1
    assert found.quotes["SOL"].dropped_reason == "NOT_FOUND"
    bench.clock.advance(FIRST_SECONDS - 59)
    # The others are asked without it, it is asked by itself.
    found = await bench.ask(name, "BTC", "ETH", "SOL")
    assert len(bench.provider.requests) == before + 3
    assert found.result.quote_count == 2
    _, good, _ = SAID[name]
    bench.provider.answer(PATHS[name], json=good)
    bench.clock.advance(MOST_SECONDS)
    assert (await bench.ask(name, "BTC", "ETH", "SOL")).result.quote_count == 3
    bench.clock.advance(60)
    before = len(bench.provider.requests)
    assert (await bench.ask(name, "BTC", "ETH", "SOL")).result.message == ""
    assert len(bench.provider.requests) == before + 1


@pytest.mark.parametrize("name", sorted(SAID))
async def test_a_source_that_knows_nothing_at_all_is_in_trouble_itself_and_forgets_it(
    bench: SourceBench, name: str
) -> None:
    said, good, _ = SAID[name]
    bench.provider.answer(PATHS[name], **said)
    found = await bench.ask(name, "BTC", "ETH", "SOL")
    assert found.quotes == {}
    assert found.result.failure in ("NOT_FOUND", "BAD_STATUS")
    bench.provider.answer(PATHS[name], json=good)
    bench.clock.advance(60)
    assert (await bench.ask(name, "BTC", "ETH", "SOL")).result.quote_count == 3


async def test_what_fails_otherwise_in_the_search_is_no_unknown_asset(bench: SourceBench) -> None:
    without_sol(bench, "binance")
    bench.provider.answer(PATHS["binance"], status=503, json={}, where=_symbols(("ETH", "SOL")))
    found = await bench.ask("binance", "BTC", "ETH", "SOL")
    assert found.quotes["BTC"].price_usd
    assert {found.quotes[asset].dropped_reason for asset in ("ETH", "SOL")} == {"SERVER_ERROR"}
    assert found.result.message == ""


async def test_pyth_is_told_to_leave_out_what_it_does_not_know(bench: SourceBench) -> None:
    body = {**PYTH, "parsed": PYTH["parsed"][:2]}
    bench.provider.answer(PATHS["pyth"], json=body)
    found = await bench.ask("pyth", "BTC", "ETH", "SOL")
    assert bench.provider.requests[0].query["ignore_invalid_price_ids"] == "true"
    assert found.result.quote_count == 2
    assert found.quotes["SOL"].dropped_reason == "MISSING"


async def test_a_product_coinbase_does_not_know_is_not_asked_for_every_time(
    bench: SourceBench,
) -> None:
    for asset in ("BTC", "ETH"):
        bench.provider.answer(f"GET /products/{asset}-USD/ticker", json=COINBASE[asset])
    route = "GET /products/SOL-USD/ticker"
    bench.provider.answer(route, status=404, json={"message": "NotFound"})
    for _ in range(4):
        found = await bench.ask("coinbase", "BTC", "ETH", "SOL")
        assert found.quotes["SOL"].dropped_reason == "NOT_FOUND"
        assert found.result.message == "it does not know SOL"
        bench.clock.advance(60)
    assert len(bench.provider.asked(route)) == 1
    bench.clock.advance(FIRST_SECONDS)
    bench.provider.answer(route, json=COINBASE["SOL"])
    assert (await bench.ask("coinbase", "BTC", "ETH", "SOL")).result.quote_count == 3


async def test_an_id_coingecko_leaves_out_costs_that_asset_only(bench: SourceBench) -> None:
    body = {id: coin for id, coin in COINGECKO.items() if id != "solana"}
    bench.provider.answer(PATHS["coingecko"], json=body)
    found = await bench.ask("coingecko", "BTC", "ETH", "SOL")
    assert (found.result.quote_count, found.quotes["SOL"].dropped_reason) == (2, "MISSING")
