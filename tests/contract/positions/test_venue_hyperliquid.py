"""Hyperliquid over real HTTP: what comes back for every answer it, and those before it,
may give."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.positions.domain.venue_answer import CarrySource, Chain, Side, WalletRef
from services.positions.venues import VENUES, Venue, VenueContext
from shared.clock import PushedClock
from shared.http import FailureKind, ProviderFailure
from shared.lifecycle import App
from tests.fakes.info_provider import InfoProvider

FIXTURES = Path(__file__).parents[2] / "fixtures"
START = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)
ADDRESS = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
WALLET = WalletRef("main", Chain.ETHEREUM, ADDRESS)
PRICES = {"BTC": 97400.0, "SOL": 182.0}
STATE = "POST /info/clearinghouseState"
CONTEXTS = "POST /info/metaAndAssetCtxs"
BODY = (FIXTURES / "hyperliquid_clearinghouse_state.json").read_bytes()
TEXT = {"content-type": "text/plain"}
EMPTY = {
    "assetPositions": [],
    "crossMaintenanceMarginUsed": "0.0",
    "crossMarginSummary": {"accountValue": "0.0"},
    "marginSummary": {"accountValue": "0.0", "totalNtlPos": "0.0"},
    "time": 1795215600000,
}


class HastyClock(PushedClock):
    """Back-off takes no time: a sleeper pushes the clock itself."""

    async def sleep(self, seconds: float) -> None:
        self.advance(max(seconds, 0.0))
        await asyncio.sleep(0)


@pytest.fixture
async def stand() -> AsyncIterator[InfoProvider]:
    async with InfoProvider() as stand:
        stand.answer(STATE, text=BODY)
        stand.answer(
            CONTEXTS, text=(FIXTURES / "hyperliquid_meta_and_asset_ctxs.json").read_bytes()
        )
        yield stand


@pytest.fixture
def clock() -> PushedClock:
    return HastyClock(START)


@pytest.fixture
async def venue(stand: InfoProvider, clock: PushedClock) -> AsyncIterator[Venue]:
    built = VENUES["hyperliquid"](VenueContext(clock, {"hyperliquid_url": stand.url + "/"}))
    async with App("venue", built.parts):
        yield built.venue


async def test_a_whole_answer_is_complete(venue, stand) -> None:
    answer = await venue.fetch(WALLET, PRICES, START)
    assert (answer.complete, answer.row_count, answer.observed_time) == (True, 2, START)
    assert [(held.asset, held.side) for held in answer.holdings] == [
        ("SOL", Side.LONG),
        ("BTC", Side.SHORT),
    ]
    assert answer.holdings[0].terms.carry_source is CarrySource.HYPERLIQUID_FUNDING
    assert json.loads(stand.requests[0].body) == {"type": "clearinghouseState", "user": ADDRESS}
    assert (venue.name, venue.chains) == ("hyperliquid", frozenset({Chain.ETHEREUM}))


async def test_a_wallet_that_holds_nothing_is_complete_and_asks_no_rates(venue, stand) -> None:
    stand.answer(STATE, json=EMPTY)
    answer = await venue.fetch(WALLET, PRICES, START)
    assert (answer.complete, answer.holdings, answer.row_count) == (True, (), 0)
    assert stand.types() == ["clearinghouseState"]


FAILURES = {
    "422 in words": (
        {"status": 422, "text": b"cannot read the body as what is asked for", "headers": TEXT},
        FailureKind.BAD_STATUS,
    ),
    "429 in words": ({"status": 429, "text": b"null", "headers": TEXT}, FailureKind.RATE_LIMITED),
    "server error": ({"status": 500, "text": b"null"}, FailureKind.SERVER_ERROR),
    "gateway": ({"status": 502, "text": b"<html></html>"}, FailureKind.SERVER_ERROR),
    "region": ({"status": 403, "text": b"{}"}, FailureKind.REFUSED),
    "not found": ({"status": 404, "text": b"{}"}, FailureKind.NOT_FOUND),
    "words with 200": ({"text": b"busy", "headers": TEXT}, FailureKind.BAD_BODY),
    "null": ({"text": b"null"}, FailureKind.BAD_BODY),
    "empty": ({"text": b""}, FailureKind.BAD_BODY),
    "list": ({"json": []}, FailureKind.BAD_BODY),
    "error with 200": ({"json": {"error": "busy"}}, FailureKind.BAD_BODY),
    "nan literal": ({"text": b'{"assetPositions": [NaN]}'}, FailureKind.BAD_BODY),
    "beyond a double": ({"text": b'{"assetPositions": [1e400]}'}, FailureKind.BAD_BODY),
    "broken off": ({"text": BODY, "truncate": True}, FailureKind.BAD_BODY),
    "too deep": ({"text": b"[" * 60 + b"]" * 60}, FailureKind.BAD_BODY),
    "too long": ({"text": b'{"a":"' + b"x" * (5 << 20) + b'"}'}, FailureKind.BAD_BODY),
    "closed": ({"close": True}, FailureKind.CONNECT),
}


@pytest.mark.parametrize(("reply", "kind"), FAILURES.values(), ids=FAILURES.keys())
async def test_an_answer_that_cannot_be_used_is_a_failure_without_an_address(
    venue, stand, reply, kind
) -> None:
    stand.answer(STATE, **reply)
    with pytest.raises(ProviderFailure) as caught:
        await venue.fetch(WALLET, PRICES, START)
    assert caught.value.kind is kind
    shown = str(caught.value) + repr(caught.value)
    assert ADDRESS.lower() not in shown.lower() and "127.0.0.1" not in shown


@pytest.mark.parametrize(("reply", "kind"), FAILURES.values(), ids=FAILURES.keys())
async def test_rates_that_cannot_be_read_cost_only_the_carry(venue, stand, reply, kind) -> None:
    stand.answer(CONTEXTS, **reply)
    for _ in range(8):
        answer = await venue.fetch(WALLET, PRICES, START)
        assert answer.complete and answer.holdings[0].terms.hourly_carry_usd is None
        assert answer.holdings[0].terms.maintenance_ratio == 1 / 40
    assert stand.types().count("metaAndAssetCtxs") == 1, "not asked again at once"


async def test_rates_are_read_every_five_minutes(venue, stand, clock) -> None:
    for seconds, count in ((0, 1), (299, 1), (2, 2)):
        clock.advance(seconds)
        await venue.fetch(WALLET, PRICES, START)
        assert stand.types().count("metaAndAssetCtxs") == count
