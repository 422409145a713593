"""A venue and the market's price, both as a test sets them, with real servers over them."""

from __future__ import annotations

import copy
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from sonic.positions.v1 import positions_pb2, positions_pb2_grpc
from sonic.price.v1 import price_pb2
from sonic.xcom.v1 import xcom_pb2

from tests.contract.monitor.conftest import QUIET, Servers, cycle, facts, runs_of, until
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
        self.markets: dict[str, Any] = copy.deepcopy(MARKETS)
        self.account: object = ACCOUNT
        self.number = 0
        # What a cycle does between enriching and its monitors.
        self.judging: Callable[[dict[str, Any]], Awaitable[None]] | None = None
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
            markets = copy.deepcopy(self.markets)
            for name, row in ((asset, markets["markets"][f"{asset}-USD"]) for asset in self.usd):
                row |= {"oraclePrice": f"{self.marks[name]:.4f}", "status": self.status}
            self.indexer.answer("GET /v4/perpetualMarkets", json=markets)
            self.indexer.answer(CROSS, json=self.account)
            step = {"cycle_id": f"cycle-{self.number}", "epoch": 1}
            await positions.SyncPositions(positions_pb2.SyncPositionsRequest(**step))
            await positions.EnrichPositions(positions_pb2.EnrichPositionsRequest(**step))
            if self.judging is not None:
                await self.judging(step)
            await cycle(monitors[self.number % len(monitors)], self.number)
        (run, *_) = await runs_of(monitors[0], "venue")
        found: str = facts(run)["venues"]["dydx"]["state"]
        return found

    def hold(self, *assets: str) -> None:
        """Shorts like that of ETH in so many more markets."""
        account = copy.deepcopy(ACCOUNT)
        held = account["subaccount"]["openPerpetualPositions"]
        for number, asset in enumerate(assets, 100):
            ticker = f"{asset}-USD"
            row = self.markets["markets"]["ETH-USD"] | {"ticker": ticker, "clobPairId": str(number)}
            self.markets["markets"][ticker] = row
            held[ticker] = held["ETH-USD"] | {
                "market": ticker,
                "size": "-0.001",
                "unrealizedPnl": "0.0213",
            }
            self.usd[asset] = self.usd["ETH"]
        self.marks = dict(self.usd)
        self.account = account

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
