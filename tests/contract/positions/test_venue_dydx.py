"""dYdX's indexer over real HTTP: what comes back for every answer it, and those before it, may
give.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.positions.domain.venue_answer import Chain, Side, WalletRef
from services.positions.sync.domain.answer_columns import answered
from services.positions.venues import VENUES, Venue, VenueContext
from services.positions.venues.dydx_parser import position_id
from shared.clock import PushedClock
from shared.http import FailureKind, ProviderFailure
from shared.lifecycle import App
from tests.fakes.http_provider import HttpProvider

FIXTURES = Path(__file__).parents[2] / "fixtures"
START = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)
ADDRESS = "dydx1m9euquwentjaqxm96a4scnwy5h9t95l3rspgqc"
WALLET = WalletRef("main", Chain.DYDX, ADDRESS)
PRICES = {"BTC": 97400.0, "ETH": 3380.0}
MARKETS = "GET /v4/perpetualMarkets"
CROSS = f"GET /v4/addresses/{ADDRESS}/subaccountNumber/0"
EVERY = f"GET /v4/addresses/{ADDRESS}"
PARENT = f"GET /v4/addresses/{ADDRESS}/parentSubaccountNumber/0"
SUBACCOUNT = json.loads((FIXTURES / "dydx_v4_subaccount.json").read_text())
NEVER_TRADED = {
    "errors": [{"msg": f"No subaccount found with address {ADDRESS} and subaccountNumber 0"}]
}
HTML = b"<html><head><title>502</title></head><body>proxy</body></html>"
ISOLATED = {
    "address": ADDRESS,
    "subaccountNumber": 128,
    "equity": "1081.2",
    "openPerpetualPositions": {
        "ETH-USD": {
            "market": "ETH-USD",
            "status": "OPEN",
            "side": "SHORT",
            "size": "-1",
            "entryPrice": "3300",
        }
    },
    "assetPositions": {"USDC": {"symbol": "USDC", "side": "LONG", "size": "4462.4"}},
}


class HastyClock(PushedClock):
    """Back-off takes no time: a sleeper pushes the clock itself."""

    async def sleep(self, seconds: float) -> None:
        self.advance(max(seconds, 0.0))
        await asyncio.sleep(0)


@pytest.fixture
async def stand() -> AsyncIterator[HttpProvider]:
    async with HttpProvider() as stand:
        stand.answer(MARKETS, text=(FIXTURES / "dydx_v4_perpetual_markets.json").read_bytes())
        stand.answer(CROSS, json=SUBACCOUNT)
        stand.answer(PARENT, status=404, json=NEVER_TRADED)
        stand.answer(EVERY, json={"subaccounts": [SUBACCOUNT["subaccount"]]})
        yield stand


@pytest.fixture
def clock() -> PushedClock:
    return HastyClock(START)


@asynccontextmanager
async def opened(stand: HttpProvider, clock: PushedClock) -> AsyncIterator[Venue]:
    built = VENUES["dydx"](VenueContext(clock, {"dydx_indexer_url": stand.url + "/"}))
    async with App("venue", built.parts):
        yield built.venue


@pytest.fixture
async def venue(stand: HttpProvider, clock: PushedClock) -> AsyncIterator[Venue]:
    async with opened(stand, clock) as venue:
        yield venue


def parent(*children: object) -> dict[str, object]:
    return {
        "subaccount": {
            "address": ADDRESS,
            "parentSubaccountNumber": 0,
            "childSubaccounts": [*children],
        }
    }


@pytest.mark.parametrize("body", [SUBACCOUNT, SUBACCOUNT["subaccount"]], ids=["wrapped", "bare"])
async def test_a_whole_answer_is_complete_wrapped_or_bare(venue, stand, body) -> None:
    stand.answer(CROSS, json=body)
    answer = await venue.fetch(WALLET, PRICES, START)
    assert (answer.complete, answer.row_count, answer.observed_time) == (True, 2, START)
    assert [(held.asset, held.side) for held in answer.holdings] == [
        ("BTC", Side.LONG),
        ("ETH", Side.SHORT),
    ]
    assert (venue.name, venue.chains) == ("dydx", frozenset({Chain.DYDX}))


async def test_isolated_positions_stand_beside_the_cross_ones(venue, stand) -> None:
    stand.answer(PARENT, json=parent(SUBACCOUNT["subaccount"], ISOLATED))
    stand.answer(EVERY, json={"subaccounts": [SUBACCOUNT["subaccount"], ISOLATED]})
    answer = await venue.fetch(WALLET, PRICES, START)
    assert (
        answer.complete
        and len(answer.holdings) == len({held.position_id for held in answer.holdings}) == 3
    )
    isolated = answer.holdings[2]
    assert isolated.own_liquidation_price_usd == pytest.approx(4462.4 / 1.012)


async def test_an_address_that_never_traded_holds_nothing_and_that_is_complete(
    venue, stand
) -> None:
    stand.answer(CROSS, status=404, json=NEVER_TRADED)
    stand.answer(EVERY, status=404, json=NEVER_TRADED)
    answer = await venue.fetch(WALLET, PRICES, START)
    assert (answer.complete, answer.holdings, answer.row_count, answer.unwatched) == (
        True,
        (),
        0,
        (),
    )


async def test_an_indexer_that_knows_nothing_of_an_address_that_held_positions_closes_none(
    venue, stand
) -> None:
    stand.answer(CROSS, status=404, json=NEVER_TRADED)
    stand.answer(EVERY, status=404, json=NEVER_TRADED)
    holding = replace(WALLET, parts=("0",))
    with pytest.raises(ProviderFailure, match="of an address that held positions") as caught:
        await venue.fetch(holding, PRICES, START)
    assert caught.value.kind is FailureKind.BAD_BODY
    empty = {**SUBACCOUNT["subaccount"], "openPerpetualPositions": {}, "assetPositions": {}}
    empty |= {"equity": "0", "freeCollateral": "0"}
    stand.answer(CROSS, json={"subaccount": empty})
    stand.answer(EVERY, json={"subaccounts": [empty]})
    assert (await venue.fetch(holding, PRICES, START)).complete
    # What was emptied may be forgotten.
    stand.answer(CROSS, status=404, json=NEVER_TRADED)
    stand.answer(EVERY, status=404, json=NEVER_TRADED)
    assert (await venue.fetch(WALLET, PRICES, START)).complete


async def test_subaccounts_that_an_indexer_lost_are_said_and_close_nothing(venue, stand) -> None:
    stand.answer(EVERY, json={"subaccounts": [SUBACCOUNT["subaccount"]]})
    holding = replace(WALLET, parts=("0", "1", "129", "256"))
    answer = await venue.fetch(holding, PRICES, START)
    assert (answer.complete, answer.incomplete_reason) == (False, "SUBACCOUNTS_UNREAD")
    said = [one.words for one in answer.unwatched]
    assert said == ["not looked at: subaccount 1", "not looked at: subaccount 129"]
    rows = answered(answer)
    assert rows.unread(position_id(ADDRESS, 1, "BTC-USD"), 0)
    assert rows.unread(position_id(ADDRESS, 129, "BTC-USD"), 0)
    # An isolated one of a parent that was read is gone by that.
    assert not rows.unread(position_id(ADDRESS, 256, "BTC-USD"), 0) and rows.complete == (True,)


OTHER = json.loads((FIXTURES / "dydx_other_subaccount.json").read_text())["GET /v4/addresses/{a}"]


async def test_positions_of_every_other_subaccount_and_of_their_children_are_read(
    venue, stand
) -> None:
    markets = json.loads((FIXTURES / "dydx_v4_perpetual_markets.json").read_text())
    markets["markets"]["BTC-USD"]["oraclePrice"] = "91250"
    stand.answer(MARKETS, json=markets)
    stand.answer(CROSS, json={"subaccount": OTHER["subaccounts"][0]})
    child = {**ISOLATED, "subaccountNumber": 129}
    stand.answer(EVERY, json={"subaccounts": [*OTHER["subaccounts"], child]})
    answer = await venue.fetch(WALLET, PRICES, START)
    assert (answer.complete, answer.unwatched, answer.row_count) == (True, (), 2)
    btc, eth = answer.holdings
    assert (btc.asset, btc.side, eth.asset, eth.side) == ("BTC", Side.LONG, "ETH", Side.SHORT)
    assert "-1-BTC-USD" in btc.position_id and "-129-ETH-USD" in eth.position_id


@pytest.mark.parametrize(
    "reply",
    [
        {"status": 500},
        {"status": 404, "json": {}},
        {"json": {}},
        {"json": {"subaccounts": None}},
        {"json": {"subaccounts": [7]}},
        {"json": {"subaccounts": [{"subaccountNumber": True, "openPerpetualPositions": {}}]}},
        {"json": {"errors": [{"msg": "x"}]}},
    ],
    ids=str,
)
async def test_other_subaccounts_that_cannot_be_looked_at_are_said(venue, stand, reply) -> None:
    stand.answer(EVERY, **reply)
    answer = await venue.fetch(WALLET, PRICES, START)
    # Positions that were read there before must not count as closed.
    assert (answer.complete, answer.incomplete_reason) == (False, "SUBACCOUNTS_UNREAD")
    assert len(answer.holdings) == 2, "what was read is shown"
    assert [one.words for one in answer.unwatched] == ["not looked at: other subaccounts"]


async def test_another_404_is_a_failure_that_tells_no_address(venue, stand) -> None:
    stand.answer(CROSS, status=404, json={"errors": [{"msg": f"no route for {ADDRESS}"}]})
    with pytest.raises(ProviderFailure, match="no route for") as caught:
        await venue.fetch(WALLET, PRICES, START)
    assert caught.value.kind is FailureKind.NOT_FOUND
    assert ADDRESS not in str(caught.value) + repr(caught.value)


@pytest.mark.parametrize(
    "reply",
    [
        {"status": 500},
        {"status": 404, "json": {}},
        {"json": {"errors": [{"msg": "x"}]}},
        {"json": parent(7)},
    ],
    ids=str,
)
async def test_isolated_positions_that_cannot_be_read_leave_the_answer_incomplete(
    venue, stand, reply
) -> None:
    stand.answer(PARENT, **reply)
    answer = await venue.fetch(WALLET, PRICES, START)
    assert (answer.complete, answer.incomplete_reason) == (False, "ISOLATED_UNREAD")
    assert len(answer.holdings) == 2, "what was read is shown"


FAILURES = {
    "server error": (
        {"status": 500, "json": {"errors": [{"msg": "oops"}]}},
        FailureKind.SERVER_ERROR,
    ),
    "gateway": ({"status": 502, "text": HTML}, FailureKind.SERVER_ERROR),
    "bad request": ({"status": 400, "json": {"errors": [{"msg": "bad"}]}}, FailureKind.BAD_STATUS),
    "too many": ({"status": 429, "json": {"errors": [{"msg": "later"}]}}, FailureKind.RATE_LIMITED),
    "region": (
        {"status": 403, "text": (FIXTURES / "errors" / "dydx_403_geo.json").read_bytes()},
        FailureKind.REFUSED,
    ),
    "html": ({"text": HTML, "headers": {"content-type": "text/html"}}, FailureKind.BAD_BODY),
    "html that says json": ({"text": HTML}, FailureKind.BAD_BODY),
    "empty": ({"text": b""}, FailureKind.BAD_BODY),
    "null": ({"text": b"null"}, FailureKind.BAD_BODY),
    "list": ({"json": []}, FailureKind.BAD_BODY),
    "error with 200": ({"json": {"errors": [{"msg": "internal"}]}}, FailureKind.BAD_BODY),
    "nan literal": ({"text": b'{"equity": NaN}'}, FailureKind.BAD_BODY),
    "beyond a double": ({"text": b'{"equity": 1e400}'}, FailureKind.BAD_BODY),
    "broken off": ({"json": SUBACCOUNT, "truncate": True}, FailureKind.BAD_BODY),
    "too deep": ({"text": b"[" * 60 + b"]" * 60}, FailureKind.BAD_BODY),
    "too long": ({"text": b'{"a":"' + b"x" * (5 << 20) + b'"}'}, FailureKind.BAD_BODY),
    "closed": ({"close": True}, FailureKind.CONNECT),
}


@pytest.mark.parametrize("route", [CROSS, MARKETS], ids=["subaccount", "markets"])
@pytest.mark.parametrize(("reply", "kind"), FAILURES.values(), ids=FAILURES.keys())
async def test_an_answer_that_cannot_be_used_is_a_failure_without_an_address(
    venue, stand, route, reply, kind
) -> None:
    stand.answer(route, **reply)
    with pytest.raises(ProviderFailure) as caught:
        await venue.fetch(WALLET, PRICES, START)
    assert caught.value.kind is kind
    shown = str(caught.value) + repr(caught.value)
    assert ADDRESS not in shown and "127.0.0.1" not in shown


async def test_retry_after_is_in_milliseconds(venue, stand, clock) -> None:
    stand.answer(CROSS, status=429, json={}, headers={"Retry-After": "4210"}, times=1)
    with pytest.raises(ProviderFailure) as caught:
        await venue.fetch(WALLET, PRICES, START)
    assert caught.value.retry_after == timedelta(seconds=4.21)
    asked = len(stand.requests)
    with pytest.raises(ProviderFailure):
        await venue.fetch(WALLET, PRICES, START)
    assert len(stand.requests) == asked, "nobody is asked before"
    clock.advance(4.22)
    assert (await venue.fetch(WALLET, PRICES, START)).complete


async def test_a_region_that_is_refused_is_looked_at_again_within_15_minutes(
    venue, stand, clock
) -> None:
    stand.answer(MARKETS, status=403, json={})
    for asked_count, wait_seconds in enumerate((60, 300, 900, 900), 1):
        for _ in range(2):
            with pytest.raises(ProviderFailure):
                await venue.fetch(WALLET, PRICES, START)
        assert len(stand.requests) == asked_count
        clock.advance(wait_seconds)


async def test_wallets_of_one_sync_share_the_markets(venue, stand, clock) -> None:
    await asyncio.gather(*(venue.fetch(WALLET, PRICES, START) for _ in range(3)))
    assert len(stand.asked(MARKETS)) == 1
    clock.advance(6)
    await venue.fetch(WALLET, PRICES, START)
    assert len(stand.asked(MARKETS)) == 2
