"""Jupiter's rates and trades, and nodes' balances, over real HTTP: what they say, what silence
costs.
"""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.positions.domain.venue_answer import (
    CarrySource,
    Chain,
    ForcedKind,
    ForcedTrade,
    WalletRef,
)
from services.positions.venues import VENUES, Venue, VenueContext, build_balances
from shared.clock import PushedClock
from shared.http import ProviderFailure
from shared.lifecycle import App
from tests.fakes.http_provider import HttpProvider

FIXTURES = Path(__file__).parents[2] / "fixtures"
START = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)
ADDRESS = "HskfdWhZTfsEL2he8iqJmXmbHdj5vr5xBooRnUfQs5PY"
WALLET = WalletRef("main", Chain.SOLANA, ADDRESS)
EVM = WalletRef("evm", Chain.ETHEREUM, "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed")
PRICES = {"BTC": 97400.0, "ETH": 3380.0, "SOL": 182.0}
POOL = "GET /v1/pool-info"
TRADES = "GET /v2/trades"
LIQUIDATION = json.loads((FIXTURES / "jupiter_perps_trades_v2_liquidation.json").read_text())
RATES = {"longBorrowRatePercent": "0.0021", "shortBorrowRatePercent": "0.0008"}
GARBAGE = {
    "server error": {"status": 500, "text": b"{}"},
    "refused": {"status": 403, "text": b"{}"},
    "too many": {"status": 429, "text": b"{}"},
    "html": {"text": b"<html></html>"},
    "null": {"text": b"null"},
    "list": {"json": []},
    "closed": {"close": True},
}


@pytest.fixture
async def stand() -> AsyncIterator[HttpProvider]:
    async with HttpProvider() as stand:
        stand.answer(
            "GET /v2/positions", text=(FIXTURES / "jupiter_perps_positions_v2.json").read_bytes()
        )
        stand.answer(POOL, json=RATES)
        stand.answer(TRADES, json=LIQUIDATION)
        yield stand


@pytest.fixture
def clock() -> PushedClock:
    return PushedClock(START)


@pytest.fixture
async def venue(stand: HttpProvider, clock: PushedClock) -> AsyncIterator[Venue]:
    built = VENUES["jupiter"](VenueContext(clock, {"jupiter_api_base": stand.url}))
    async with App("venue", built.parts):
        yield built.venue


async def test_borrowing_costs_its_rate_of_the_size_by_asset_and_side(venue, stand) -> None:
    long, short, *_ = (await venue.fetch(WALLET, PRICES, START)).holdings
    assert long.terms.hourly_carry_usd == pytest.approx(long.size_usd * 0.0021 / 100)
    assert short.terms.hourly_carry_usd == pytest.approx(short.size_usd * 0.0008 / 100)
    assert (
        long.terms.carry_source is CarrySource.JUPITER_BORROW
        and long.terms.maintenance_ratio is None
    )
    assert len({asked.query["mint"] for asked in stand.asked(POOL)}) == len(stand.asked(POOL)) == 3


async def test_rates_are_read_every_five_minutes(venue, stand, clock) -> None:
    for seconds, count in ((0, 3), (299, 3), (2, 6)):
        clock.advance(seconds)
        await venue.fetch(WALLET, PRICES, START)
        assert len(stand.asked(POOL)) == count


@pytest.mark.parametrize("reply", GARBAGE.values(), ids=GARBAGE.keys())
async def test_no_rate_costs_only_the_carry(venue, stand, reply) -> None:
    stand.answer(POOL, **reply)
    for _ in range(8):
        answer = await venue.fetch(WALLET, PRICES, START)
        assert answer.complete and len(answer.holdings) == 4
        assert all(held.terms.hourly_carry_usd is None for held in answer.holdings)
    assert len(stand.asked(POOL)) <= 3, "not asked again at once"


@pytest.mark.parametrize("rate", ["NaN", "-1", "900", 0.1, None])
async def test_a_rate_that_cannot_be_believed_is_absent_and_the_other_stays(
    venue, stand, rate
) -> None:
    stand.answer(POOL, json={**RATES, "longBorrowRatePercent": rate})
    long, short, *_ = (await venue.fetch(WALLET, PRICES, START)).holdings
    assert long.terms.hourly_carry_usd is None and short.terms.hourly_carry_usd > 0


def trades(*changes: dict[str, object]) -> dict[str, object]:
    """The liquidation, once with each of these changes."""
    rows = [{**LIQUIDATION["dataList"][0], **change} for change in changes]
    return {"count": len(rows), "dataList": rows}


async def test_a_liquidation_is_told_with_its_time(venue) -> None:
    (trade,) = LIQUIDATION["dataList"]
    found = await venue.forced_trades(WALLET, [], START)
    moment = datetime.fromtimestamp(trade["createdTime"], UTC)
    assert found == [ForcedTrade(trade["positionPubkey"], moment, ForcedKind.LIQUIDATED)]


@pytest.mark.parametrize(
    "body",
    [
        trades({"orderType": "Market"}),
        trades({}, {"orderType": "Market", "createdTime": 1795129201, "action": "Increase"}),
        trades({"createdTime": "soon"}),
        trades({"createdTime": True}),
        trades({"positionPubkey": "x"}),
        {"count": 1, "dataList": [None, 7]},
        {"count": 0, "dataList": []},
        {"count": 0, "dataList": None},
    ],
)
async def test_what_is_no_last_liquidation_is_not_told(venue, stand, body) -> None:
    stand.answer(TRADES, json=copy.deepcopy(body))
    assert await venue.forced_trades(WALLET, [], START) == []


@pytest.mark.parametrize("reply", GARBAGE.values(), ids=GARBAGE.keys())
async def test_trades_that_cannot_be_read_are_a_failure_and_positions_go_on(
    venue, stand, reply
) -> None:
    stand.answer(TRADES, **reply)
    for _ in range(6):
        with pytest.raises(ProviderFailure) as caught:
            await venue.forced_trades(WALLET, [], START)
        assert ADDRESS not in str(caught.value)
    assert (await venue.fetch(WALLET, PRICES, START)).complete


async def test_balances_are_read_in_coins(stand, clock) -> None:
    balances = build_balances(clock, {Chain.SOLANA: stand.url, Chain.ETHEREUM: stand.url + "/key"})
    stand.answer("POST /", json={"jsonrpc": "2.0", "id": 1, "result": {"value": 2_500_000_000}})
    stand.answer("POST /key", json={"jsonrpc": "2.0", "id": 1, "result": "0xde0b6b3a7640000"})
    async with App("nodes", balances.parts):
        assert (await balances.read(WALLET), await balances.read(EVM)) == (2.5, 1.0)
    first, second = (json.loads(asked.body) for asked in stand.requests)
    assert (first["method"], first["params"]) == ("getBalance", [ADDRESS])
    assert (second["method"], second["params"]) == (
        "eth_getBalance",
        [EVM.public_address, "latest"],
    )


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"code": -32602, "message": f"bad {ADDRESS}"}},
        {"result": None},
        {"result": {"value": -1}},
        {"result": {"value": "12"}},
        {"result": {"value": True}},
        {"result": {"value": 1.5}},
        {"result": "0xzz"},
        {"result": "12"},
        {"result": "0x" + "f" * 65},
        [],
        None,
    ],
)
async def test_what_is_no_balance_is_a_failure(stand, clock, body) -> None:
    stand.answer("POST /", json=body)
    balances = build_balances(clock, {Chain.SOLANA: stand.url, Chain.ETHEREUM: stand.url})
    async with App("nodes", balances.parts):
        for wallet in (WALLET, EVM):
            with pytest.raises(ProviderFailure) as caught:
                await balances.read(wallet)
            assert wallet.public_address not in str(caught.value)


async def test_a_chain_without_a_node_is_not_among_them(clock) -> None:
    assert build_balances(clock, {Chain.SOLANA: "", Chain.ETHEREUM: ""}).chains == frozenset()
