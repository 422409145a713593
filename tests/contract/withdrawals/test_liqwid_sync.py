"""The server on a Liqwid of real HTTP: transactions are stored once, holdings become samples."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sonic.withdrawals.v1 import withdrawals_pb2 as pb
from sonic.withdrawals.v1 import withdrawals_pb2_grpc as rpc

from services.withdrawals import server
from services.withdrawals.sources.liqwid import build_liqwid
from shared.clock import PushedClock
from shared.lifecycle import App
from shared.rpc.client import Channel
from tests.fakes.databases import Databases
from tests.fakes.liqwid import FakeLiqwid

START = datetime(2026, 11, 21, tzinfo=UTC)
FIRST = datetime(2026, 10, 1, tzinfo=UTC)
MAIN = (
    "addr1qx2fxv2umyhttkxyxp8x0dlpdt3k6cwng5pxj3jhsydzer3n0d3vllmyqwsx5wktcd8cc3sq835lu7drv2xwl"
    "2wywfgse35a3x"
)
OTHER = "addr1vx2fxv2umyhttkxyxp8x0dlpdt3k6cwng5pxj3jhsydzers66hrl8"
RATE = Decimal("0.02")


def market(**others: object) -> dict[str, object]:
    row = {"id": "DJED", "displayName": "DJED", "symbol": "DJED", "liquidity": 1e6}
    asset = {"symbol": "DJED", "price": 0.999}
    return {**row, "exchangeRate": float(RATE), "asset": asset, "frozen": False, **others}


def transaction(row: int, **others: object) -> dict[str, object]:
    """One an hour, of 10 tokens each."""
    moment = (FIRST + timedelta(hours=row)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    told = {"id": f"{row:064x}", "type": "SUPPLY", "displayName": "DJED", "time": moment}
    return {**told, "amount": 10, "qAmount": float(10 / RATE), "exchangeRate": 0.02, **others}


@dataclass
class Stand:
    liqwid: FakeLiqwid
    clock: PushedClock
    advisor: rpc.AdvisorServiceStub
    supply: rpc.SupplyServiceStub

    async def sync(self) -> pb.SyncProgress:
        """The last of what is told."""
        told = [one async for one in self.supply.SyncTransactions(pb.SyncTransactionsRequest())]
        return told[-1]

    async def flow_count(self) -> int:
        count, token = 0, ""
        while True:
            asked = pb.ListFlowsRequest(page_size=500, page_token=token)
            page = await self.supply.ListFlows(asked)
            count, token = count + len(page.flows), page.next_page_token
            if not token:
                return count


@pytest.fixture
async def stand(databases: Databases) -> AsyncIterator[Stand]:
    """Two wallets, and DJED watched."""
    clock = PushedClock(START)
    async with FakeLiqwid(markets=[market()]) as liqwid:
        venue, parts = build_liqwid(liqwid.url, clock)
        config = server.Config(
            listen_address="127.0.0.1:0",
            database_url=databases.url("withdrawals"),
            sonic_live=True,
        )
        app = server.build(config, clock, server.Outside(venue, [], parts=parts))
        await app.start()
        channel = Channel(app.address)
        assets = channel.stub(rpc.AssetsServiceStub)
        for name, address in (("main", MAIN), ("other", OTHER)):
            wallet = pb.Wallet(name=name, addresses=[address])
            await assets.SetWallet(pb.SetWalletRequest(wallet=wallet))
        await assets.CreateAsset(pb.CreateAssetRequest(asset=pb.Asset(name="djed")))
        yield Stand(
            liqwid,
            clock,
            channel.stub(rpc.AdvisorServiceStub),
            channel.stub(rpc.SupplyServiceStub),
        )
        await channel.stop()
        await app.stop()


@pytest.fixture(params=["UTC", "Asia/Tokyo", "America/Los_Angeles"])
def machine_zone(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = request.param
    time.tzset()
    yield
    os.environ.pop("TZ")
    if before is not None:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.usefixtures("machine_zone")
async def test_350_transactions_come_by_halved_windows_and_once_whatever_the_machines_zone(
    stand: Stand,
) -> None:
    stand.liqwid.transactions[MAIN] = [transaction(row) for row in range(350)]
    first = await stand.sync()
    assert (first.new_count, first.seen_count, list(first.errors)) == (350, 350, [])
    assert first.window_count > 4
    second = await stand.sync()
    assert (second.new_count, list(second.errors)) == (0, [])
    assert await stand.flow_count() == 350
    page = await stand.supply.ListFlows(pb.ListFlowsRequest(page_size=1))
    newest = page.flows[0].flow_time.ToDatetime(UTC)
    assert newest == FIRST + timedelta(hours=349)


async def test_half_a_page_is_asked_for_again_in_halves(stand: Stand) -> None:
    stand.liqwid.transactions[MAIN] = [transaction(row) for row in range(90)]
    stand.liqwid.shorter = 60
    progress = await stand.sync()
    assert (progress.new_count, list(progress.errors)) == (90, [])


async def test_one_transaction_in_two_markets_is_two_flows_and_told_twice_it_is_one(
    stand: Stand,
) -> None:
    stand.liqwid.markets.append(market(id="USDM", displayName="USDM", symbol="USDM"))
    twice = transaction(1)
    stand.liqwid.transactions[MAIN] = [
        twice,
        dict(twice),
        transaction(1, type="WITHDRAW"),
        transaction(1, displayName="USDM"),
        transaction(2, displayName="SHEN"),
        transaction(3, type="BORROW"),
    ]
    progress = await stand.sync()
    # Of USDM nobody asked, SHEN is no market, and a loan is no flow.
    assert (progress.new_count, progress.unresolved_count, progress.ignored_count) == (2, 1, 2)


async def test_one_wallets_failure_stops_no_other_and_is_said(stand: Stand) -> None:
    stand.liqwid.transactions[OTHER] = [transaction(1)]
    stand.liqwid.errors[MAIN] = f"the indexer does not know {MAIN}"
    progress = await stand.sync()
    assert (progress.wallet_count, progress.new_count) == (2, 1)
    assert len(progress.errors) == 1
    assert progress.errors[0].startswith("main: ")
    assert "addr1" not in progress.errors[0]


async def test_an_evaluation_samples_what_the_venue_tells(stand: Stand) -> None:
    stand.liqwid.transactions[MAIN] = [transaction(1), transaction(2)]
    await stand.sync()
    answer = await stand.advisor.Evaluate(pb.EvaluateRequest())
    (decision,) = answer.decisions
    holdings = {one.wallet: one for one in decision.wallets}
    assert Decimal(holdings["main"].last_units) == 20
    assert decision.price_usd == 0.999


async def test_the_world_is_asked_once_an_asset_is_watched_and_not_before(
    databases: Databases,
) -> None:
    token_id = f"{'ab' * 28}444a4544"
    clock = PushedClock(START)
    async with FakeLiqwid(markets=[market()]) as world:
        config = server.Config(
            listen_address="127.0.0.1:0",
            database_url=databases.url("withdrawals"),
            liqwid_url=f"{world.url}/graphql",
            minswap_url=f"{world.url}/minswap",
        )
        app = server.build(config, clock)
        async with app, App("client", [channel := Channel(app.address)]):
            advisor = channel.stub(rpc.AdvisorServiceStub)
            assets = channel.stub(rpc.AssetsServiceStub)
            (simulated,) = (await advisor.Evaluate(pb.EvaluateRequest())).decisions
            assert simulated.demo
            assert not world.requests

            row = {"token_id": token_id, "price_by_ada": 1.3}
            world.answer("GET /minswap/aggregator/ada-price", json={"value": {"price": 0.75}})
            world.answer("POST /minswap/aggregator/tokens", json={"tokens": [row]})
            registry = f"asset,policy_id,token_name_hex\ndjed,{token_id[:56]},{token_id[56:]}\n"
            await assets.ImportTokenRegistry(pb.ImportTokenRegistryRequest(content=registry))
            world.transactions[MAIN] = [transaction(1)]
            wallet = pb.Wallet(name="main", addresses=[MAIN])
            await assets.SetWallet(pb.SetWalletRequest(wallet=wallet))
            prices = pb.PriceSettings(sources=["liqwid", "minswap"])
            await assets.CreateAsset(
                pb.CreateAssetRequest(asset=pb.Asset(name="djed", price=prices))
            )
            (decision,) = (await advisor.Evaluate(pb.EvaluateRequest())).decisions
            quotes = {one.source: one for one in decision.prices.quotes}
            assert quotes["liqwid"].price_usd == 0.999
            assert quotes["minswap"].price_usd == pytest.approx(1.3 * 0.75)
            assert decision.prices.mismatch
            assert [one.wallet for one in decision.wallets] == ["main"]
            # The rate of the sample is that of the venue over Minswap's ADA.
            asked = pb.GetSeriesRequest(asset="djed", view=pb.VIEW_RATE_ADA)
            (point,) = (await advisor.GetSeries(asked)).points
            assert point.value == pytest.approx(0.999 / 0.75)
