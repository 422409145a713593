"""Error and garbage bodies that were kept, over HTTP: their kind, and when their source is asked
again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from services.price.domain.consensus import LastGood, agree
from services.price.domain.prices import Dropped
from tests.contract.price.bodies import PATHS
from tests.contract.price.source_bench import SourceBench

FIXTURES = Path(__file__).parents[2] / "fixtures"
PATIENCE_SECONDS = 86_400 * 3

# Source, file, status, headers, kind of failure, seconds of silence (None: for ever).
ERRORS: list[tuple[str, str, int, dict[str, str], str, float | None]] = [
    ("coingecko", "coingecko_401_10002.json", 401, {}, "REFUSED", 60),
    ("binance", "binance_429.json", 429, {"retry-after": "17"}, "RATE_LIMITED", 17),
    ("binance", "binance_418_banned.json", 418, {"retry-after": "300"}, "BANNED", 300),
    ("binance", "binance_451_region.json", 451, {}, "REFUSED", 60),
    ("binance", "binance_400_bad_symbol.json", 400, {}, "BAD_STATUS", 0),
    ("kraken", "kraken_200_rate_limit.json", 200, {}, "RATE_LIMITED", 60),
    ("kraken", "kraken_200_unknown_pair.json", 200, {}, "NOT_FOUND", 0),
    ("coinbase", "coinbase_429.json", 429, {}, "RATE_LIMITED", 60),
    ("coinbase", "coinbase_404.json", 404, {}, "NOT_FOUND", 0),
    ("pyth", "pyth_429.txt", 429, {}, "RATE_LIMITED", 60),
    ("pyth", "pyth_404.txt", 404, {}, "NOT_FOUND", 0),
    ("yahoo", "yahoo_404.json", 404, {}, "NOT_FOUND", 0),
]
GARBAGE = [
    ("coingecko", "price_zero.json", Dropped.NOT_POSITIVE),
    ("coingecko", "price_negative.json", Dropped.NOT_POSITIVE),
    ("coingecko", "price_string.json", Dropped.NOT_A_NUMBER),
    ("coingecko", "price_decimal_shift.json", Dropped.OUTLIER),
    ("coingecko", "price_stale_2h.json", Dropped.TOO_OLD),
    ("coingecko", "price_future.json", Dropped.FROM_FUTURE),
    ("pyth", "pyth_wide_confidence.json", Dropped.WIDE_CONFIDENCE),
]


def served(folder: str, file: str) -> dict[str, Any]:
    kind = "text/plain" if file.endswith(".txt") else "application/json"
    return {"text": (FIXTURES / folder / file).read_text(), "headers": {"content-type": kind}}


@pytest.mark.parametrize(("name", "file", "status", "headers", "kind", "silent_seconds"), ERRORS)
async def test_an_error_is_told_by_its_kind_and_its_time_is_honoured(
    bench: SourceBench,
    name: str,
    file: str,
    status: int,
    headers: dict[str, str],
    kind: str,
    silent_seconds: float | None,
) -> None:
    answer = served("errors", file)
    answer["headers"] |= headers
    bench.provider.answer(PATHS[name], status=status, **answer)
    asset = "SPX" if name == "yahoo" else "BTC"
    found = await bench.ask(name, asset)
    assert (found.result.failure, found.quotes) == (kind, {})
    if silent_seconds != 0:
        bench.clock.advance((silent_seconds or PATIENCE_SECONDS) - 0.5)
        assert (await bench.ask(name, asset)).result.failure == kind
        assert len(bench.provider.requests) == 1
        bench.clock.advance(1)
    await bench.ask(name, asset)
    assert len(bench.provider.requests) == (1 if silent_seconds is None else 2)


@pytest.mark.parametrize(("name", "file", "reason"), GARBAGE)
async def test_garbage_is_dropped_by_its_reason_and_is_no_price(
    bench: SourceBench, name: str, file: str, reason: Dropped
) -> None:
    bench.provider.answer(PATHS[name], **served("garbage", file))
    asset, last_good_usd = ("SOL", 182.4) if name == "pyth" else ("BTC", 97_400.0)
    found = await bench.ask(name, asset)
    now = bench.clock.now()
    judged = agree(asset, [found.quotes[asset]], now, LastGood(last_good_usd, now))
    assert judged.price_usd is None
    assert [quote.dropped_reason for quote in judged.quotes] == [reason]


async def test_a_number_beyond_all_numbers_costs_the_whole_answer(bench: SourceBench) -> None:
    bench.provider.answer(PATHS["coingecko"], **served("garbage", "price_huge.json"))
    result = (await bench.ask("coingecko")).result
    assert (result.failure, result.message) == (
        "BAD_BODY",
        "the body cannot be read: a number is too large",
    )
