"""A venue in trouble through real servers and a played indexer: told once, ended once, whoever runs
the monitors.
"""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from sonic.monitor.v1 import monitor_pb2 as pb
from sonic.positions.v1 import positions_pb2, positions_pb2_grpc
from sonic.price.v1 import price_pb2
from sonic.xcom.v1 import xcom_pb2

from tests.contract.monitor.conftest import QUIET, Servers, badges_of, cycle, facts, runs_of, until
from tests.fakes.http_provider import HttpProvider
from tests.fakes.peers import FakePeers

FIXTURES = Path(__file__).parents[2] / "fixtures"
ADDRESS = "dydx1m9euquwentjaqxm96a4scnwy5h9t95l3rspgqc"
ACCOUNT = json.loads((FIXTURES / "dydx_v4_subaccount.json").read_text())
MARKETS = json.loads((FIXTURES / "dydx_v4_perpetual_markets.json").read_text())
CROSS = f"GET /v4/addresses/{ADDRESS}/subaccountNumber/0"
ALONE = {**QUIET, "price_mon_enabled": False, "position_mon_enabled": False}


class Venue:
    """dYdX's indexer and the market's price, both as a test sets them; cycles over them."""

    def __init__(self, servers: Servers, indexer: HttpProvider, prices: FakePeers) -> None:
        self.servers, self.indexer, self._prices = servers, indexer, prices
        self.usd = {"BTC": 97412.5, "ETH": 3381.2}
        self.marks = dict(self.usd)
        self.status = "ACTIVE"
        self.account: object = ACCOUNT
        self.number = 0
        prices.told["price.ListPrices"] = self._list_prices

    async def _list_prices(self, request: Any, context: Any) -> price_pb2.ListPricesResponse:
        now = Timestamp()
        now.FromDatetime(self.servers.clock.now())
        return price_pb2.ListPricesResponse(
            prices=[
                price_pb2.Price(
                    asset=name, price_usd=usd, price_time=now, quality=price_pb2.QUALITY_GOOD
                )
                for name, usd in self.usd.items()
            ]
        )

    async def start(self) -> Any:
        never = {"errors": [{"msg": "No subaccounts found with address x"}]}
        parent = f"GET /v4/addresses/{ADDRESS}/parentSubaccountNumber/0"
        self.indexer.answer(parent, status=404, json=never)
        every = {"subaccounts": [ACCOUNT["subaccount"]]}
        self.indexer.answer(f"GET /v4/addresses/{ADDRESS}", json=every)
        await self.servers.start(
            "positions",
            price_address=self._prices.address,
            dydx_indexer_url=self.indexer.url,
            sonic_live=True,
        )
        await self.servers.start("xcom")
        stub = await self.servers.stub("positions", positions_pb2_grpc.WalletsServiceStub)
        wallet = positions_pb2.Wallet(
            name="main", chain=positions_pb2.CHAIN_DYDX, public_address=ADDRESS
        )
        await stub.CreateWallet(positions_pb2.CreateWalletRequest(wallet=wallet))
        return await self.monitor()

    async def monitor(self) -> Any:
        """A replica, or the same one after a restart."""
        return await self.servers.monitor(**ALONE, price_address=self._prices.address)

    async def look(self, *monitors: Any, times: int = 1, moves_percent: float = 0.1) -> str:
        """So many cycles, a minute apart, by these monitors in turn; the state then."""
        positions = await self.servers.stub("positions", positions_pb2_grpc.PositionsServiceStub)
        for _ in range(times):
            self.number += 1
            self.servers.clock.advance(60)
            self.usd = {name: usd * (1 + moves_percent / 100) for name, usd in self.usd.items()}
            markets = copy.deepcopy(MARKETS)
            for name, row in ((asset, markets["markets"][f"{asset}-USD"]) for asset in self.usd):
                row |= {"oraclePrice": f"{self.marks[name]:.4f}", "status": self.status}
            self.indexer.answer("GET /v4/perpetualMarkets", json=markets)
            self.indexer.answer(CROSS, json=self.account)
            step = {"cycle_id": f"cycle-{self.number}", "epoch": 1}
            await positions.SyncPositions(positions_pb2.SyncPositionsRequest(**step))
            await positions.EnrichPositions(positions_pb2.EnrichPositionsRequest(**step))
            await cycle(monitors[self.number % len(monitors)], self.number)
        (run, *_) = await runs_of(monitors[0], "venue")
        found: str = facts(run)["venues"]["dydx"]["state"]
        return found

    async def follow(self, *monitors: Any, times: int) -> str:
        """Looks at which the marks go with the market."""
        state = ""
        for _ in range(times):
            self.marks = {name: usd * 1.001 for name, usd in self.usd.items()}
            state = await self.look(*monitors)
        return state

    async def told(self, count: int) -> list[xcom_pb2.Message]:
        async def found() -> list[xcom_pb2.Message]:
            messages = await self.servers.messages()
            return messages if len(messages) >= count else []

        await until(found, 30.0)
        messages = await self.servers.messages()
        assert len(messages) == count, [one.subject for one in messages]
        return messages


@pytest.fixture
async def venue(servers: Servers) -> AsyncIterator[Venue]:
    prices = FakePeers()
    await prices.start()
    async with HttpProvider() as indexer:
        yield Venue(servers, indexer, prices)
    await prices.stop()


async def test_a_frozen_mark_is_told_once_and_ended_once_over_a_restart_and_two_replicas(
    venue: Venue,
) -> None:
    first = await venue.start()
    second = await venue.monitor()
    assert await venue.follow(first, second, times=2) == "OK"
    # From here the mark stands still, and the market moves on.
    assert await venue.look(first, second, times=5, moves_percent=-0.2) == "DEGRADED"
    third = await venue.monitor()
    await venue.look(first, second, third, times=6, moves_percent=-0.2)
    (begun,) = await venue.told(1)
    assert begun.level == xcom_pb2.LEVEL_MEDIUM
    assert "the mark of BTC stands still since 03:02 UTC while the market moved" in begun.body
    assert "ESTIMATED" in begun.body
    assert "dydx DEGRADED" in (await badges_of(first))["venue_badge"].value
    assert await venue.follow(third, second, times=10) == "OK"
    _, ended = await venue.told(2)
    assert "all is well again: dydx" in ended.subject
    await venue.follow(first, second, third, times=3)
    await venue.told(2)


async def test_a_halt_and_a_venue_that_fails_are_high_where_positions_are_held(
    venue: Venue,
) -> None:
    monitor = await venue.start()
    await venue.follow(monitor, times=1)
    venue.status = "PAUSED"
    assert await venue.follow(monitor, times=3) == "DOWN"
    (halted,) = await venue.told(1)
    assert halted.level == xcom_pb2.LEVEL_HIGH
    assert "you cannot act on dydx (trading is halted: BTC, ETH" in halted.subject
    assert "% by market price" in halted.subject
    stub = await venue.servers.stub("positions", positions_pb2_grpc.PositionsServiceStub)
    held = (await stub.ListPositions(positions_pb2.ListPositionsRequest())).positions
    assert all(positions_pb2.FLAG_TRADING_HALTED in one.flags for one in held) and held
    venue.status = "ACTIVE"
    await venue.follow(monitor, times=7)
    await venue.told(2)
    venue.account = {"errors": [{"msg": "the indexer is behind"}]}
    assert await venue.follow(monitor, times=1) == "DEGRADED"
    assert await venue.follow(monitor, times=3) == "DOWN"
    _, _, failing = await venue.told(3)
    assert failing.level == xcom_pb2.LEVEL_HIGH
    assert "1 of 1 wallets cannot be read" in failing.subject
    venue.account = ACCOUNT
    await venue.follow(monitor, times=7)
    *_, ended = await venue.told(4)
    assert "all is well again" in ended.subject


async def test_positions_that_do_not_answer_end_no_trouble(venue: Venue) -> None:
    monitor = await venue.start()
    venue.status = "PAUSED"
    await venue.follow(monitor, times=2)
    await venue.told(1)
    await venue.servers.apps["positions"].stop()
    for number in range(100, 107):
        venue.servers.clock.advance(60)
        await cycle(monitor, number)
    (run, *_) = await runs_of(monitor, "venue")
    assert run.status == pb.RUN_STATUS_ERROR
    assert facts(run)["venues"]["dydx"]["told"] == "DOWN", "what is remembered outlives it"
    await venue.told(1)
