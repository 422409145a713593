"""The alerts server with real positions and xcom servers, one pushed clock for all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.alerts.v1 import alerts_pb2_grpc as rpc
from sonic.positions.v1 import positions_pb2 as positions_pb
from sonic.positions.v1 import positions_pb2_grpc as positions_rpc
from sonic.price.v1 import price_pb2 as price_pb
from sonic.xcom.v1 import xcom_pb2 as xcom_pb
from sonic.xcom.v1 import xcom_pb2_grpc as xcom_rpc

from services.alerts import server as alerts_server
from services.positions import server as positions_server
from services.xcom import server as xcom_server
from shared.clock import PushedClock
from shared.lifecycle import App
from shared.rpc.client import Channel
from tests.fakes.databases import Databases
from tests.fakes.peers import FakePeers, answers
from tests.fakes.webhook import FakeWebhook

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOBODY = "127.0.0.1:1"
# Changes of one commit that are told one by one, where a test says so.
MOST = 3


@dataclass
class Servers:
    """Three servers and the words of a test: hold, mark, cycle."""

    databases: Databases
    home: Path
    stack: AsyncExitStack
    clock: PushedClock = field(default_factory=lambda: PushedClock(START))
    apps: dict[str, App] = field(default_factory=dict)

    async def start_positions(self, listen: str = "127.0.0.1:0", **settings: str) -> None:
        # A price service without prices: one that is away costs every call its retries.
        self.market = market = FakePeers()
        market.told["price.ListPrices"] = answers(price_pb.ListPricesResponse())
        await market.start()
        self.stack.push_async_callback(market.stop)
        config = positions_server.Config(
            database_url=self.databases.url("positions"),
            listen_address=listen,
            price_address=market.address,
            **settings,
        )
        await self._enter("positions", positions_server.build(config, self.clock))
        channel = await self._channel("positions")
        self.positions = channel.stub(positions_rpc.PositionsServiceStub)
        self.wallets = channel.stub(positions_rpc.WalletsServiceStub)
        self.accounts = channel.stub(positions_rpc.AccountsServiceStub)

    async def start_xcom(self, listen: str = "127.0.0.1:0", **settings: str) -> None:
        config = xcom_server.Config(
            database_url=self.databases.url("xcom"), listen_address=listen, **settings
        )
        await self._enter("xcom", xcom_server.build(config, self.clock))
        channel = await self._channel("xcom")
        self.xcom = channel.stub(xcom_rpc.XComServiceStub)
        self.escalation = channel.stub(xcom_rpc.EscalationServiceStub)
        self.channels = channel.stub(xcom_rpc.ChannelsServiceStub)

    async def start_alerts(self, name: str = "alerts", **peers: str) -> None:
        addresses = {
            "positions_address": self.apps["positions"].address
            if "positions" in self.apps
            else NOBODY,
            "xcom_address": self.apps["xcom"].address if "xcom" in self.apps else NOBODY,
        }
        config = alerts_server.Config(
            database_url=self.databases.url("alerts"),
            listen_address="127.0.0.1:0",
            sonic_home=self.home,
            **{**addresses, **peers},
        )
        await self._enter(name, alerts_server.build(config, self.clock))
        channel = await self._channel(name)
        self.alerts = channel.stub(rpc.AlertsServiceStub)
        self.thresholds = channel.stub(rpc.ThresholdsServiceStub)
        self.ledger = channel.stub(rpc.LedgerServiceStub)
        self.attention = channel.stub(rpc.AttentionServiceStub)
        self.rules = channel.stub(rpc.RulesServiceStub)
        self.reports = channel.stub(rpc.ReportsServiceStub)
        self.backtests = channel.stub(rpc.BacktestServiceStub)
        self.scorecards = channel.stub(rpc.ScorecardServiceStub)
        self.recorder = channel.stub(rpc.RecorderServiceStub)

    async def stop(self, name: str) -> None:
        await self.apps.pop(name).stop()

    async def _enter(self, name: str, app: App) -> None:
        self.apps[name] = app
        await self.stack.enter_async_context(app)

    async def _channel(self, name: str) -> Channel:
        channel = Channel(self.apps[name].address)
        self.stack.push_async_callback(channel.stop)
        return channel

    async def hold(self, mark: float, **terms: object) -> str:
        """A manual position, by default a SOL long entered at 100 that liquidates at 80."""
        position = positions_pb.Position(
            **{
                "asset": "SOL",
                "side": positions_pb.SIDE_LONG,
                "entry_price_usd": 100.0,
                "liquidation_price_usd": 80.0,
                "size_usd": 1000.0,
                "collateral_usd": 210.0,
                "mark_price_usd": mark,
                **terms,
            }
        )
        return (
            await self.positions.CreatePosition(
                positions_pb.CreatePositionRequest(position=position)
            )
        ).id

    async def lets_go(self, id: str) -> None:
        """The position is deleted."""
        await self.positions.DeletePosition(positions_pb.DeletePositionRequest(id=id))

    async def mark(self, id: str, price: float) -> None:
        """Enter a new mark, ten seconds later."""
        self.clock.advance(10)
        position = positions_pb.Position(id=id, mark_price_usd=price)
        await self.positions.UpdatePosition(positions_pb.UpdatePositionRequest(position=position))

    async def create(self, cycle_id: str = "", epoch: int = 0) -> pb.CreateAlertsResponse:
        return await self.alerts.CreateAlerts(
            pb.CreateAlertsRequest(cycle_id=cycle_id, epoch=epoch)
        )

    async def evaluate(self, cycle_id: str = "", epoch: int = 0) -> pb.EvaluateAlertsResponse:
        return await self.alerts.EvaluateAlerts(
            pb.EvaluateAlertsRequest(cycle_id=cycle_id, epoch=epoch)
        )

    async def alert(self, kind: int, position_id: str = "") -> pb.Alert:
        answer = await self.alerts.ListAlerts(
            pb.ListAlertsRequest(type=kind, position_id=position_id)
        )
        (alert,) = answer.alerts
        return alert

    async def entries(self) -> list[pb.LedgerEntry]:
        """The ledger, oldest first."""
        answer = await self.ledger.ListLedger(pb.ListLedgerRequest(page_size=500))
        return list(reversed(answer.entries))

    async def only(self, *types: int) -> None:
        """Leave only these thresholds enabled, by one edit: each test speaks of one metric."""
        kept = {pb.AlertType.Name(kind).removeprefix("ALERT_TYPE_") for kind in types}
        file = await self.thresholds.ExportThresholds(pb.ExportThresholdsRequest())
        rows = json.loads(file.json)["thresholds"]
        off = [row | {"enabled": False} for row in rows if row["type"] not in kept]
        await self.thresholds.ImportThresholds(
            pb.ImportThresholdsRequest(json=json.dumps({"thresholds": off}))
        )

    async def at(self, id: str, *marks: float) -> pb.EvaluateAlertsResponse:
        """One mark after another, each evaluated; the last answer."""
        for price in marks:
            await self.mark(id, price)
            answer = await self.evaluate()
        return answer

    async def waiting(self) -> int:
        """How many messages wait to be told."""
        return (await self.alerts.GetSummary(pb.GetSummaryRequest())).waiting_count

    async def until(self, done: Callable[[], Awaitable[bool]]) -> None:
        """Look until it is so; a background loop works in real time."""
        async with asyncio.timeout(45):
            while not await done():
                await asyncio.sleep(0.01)

    async def price(self, asset: str, *prices_usd: float) -> None:
        """An evaluation a minute, each with one of these prices."""
        for price_usd in prices_usd:
            self.clock.advance(60)
            reading = pb.PriceReading(asset=asset, price_usd=price_usd)
            reading.price_time.FromDatetime(self.clock.now())
            await self.alerts.EvaluateAlerts(pb.EvaluateAlertsRequest(prices=[reading]))

    async def flush(self) -> pb.FlushOutboxResponse:
        return await self.alerts.FlushOutbox(pb.FlushOutboxRequest())

    async def messages(self) -> list[xcom_pb.Message]:
        """Everything told, oldest first, after the outbox is empty."""
        while (await self.flush()).waiting_count:
            self.clock.advance(31)
        answer = await self.xcom.ListMessages(xcom_pb.ListMessagesRequest(page_size=500))
        return list(reversed(answer.messages))


@pytest.fixture
async def not_started(databases: Databases, tmp_path: Path) -> AsyncIterator[Servers]:
    async with AsyncExitStack() as stack:
        yield Servers(databases, tmp_path / "state", stack)


@pytest.fixture
async def servers(not_started: Servers) -> Servers:
    await not_started.start_positions()
    await not_started.start_xcom()
    await not_started.start_alerts()
    return not_started


@pytest.fixture
async def without_xcom(not_started: Servers) -> Servers:
    """Nobody takes messages: the outbox keeps them."""
    await not_started.start_positions()
    await not_started.start_alerts()
    return not_started


@pytest.fixture
async def hook() -> AsyncIterator[FakeWebhook]:
    async with FakeWebhook() as made:
        yield made


@pytest.fixture
async def hooked(not_started: Servers, hook: FakeWebhook) -> Servers:
    """Messages go to a webhook of the test's."""
    await not_started.start_positions()
    await not_started.start_xcom(webhook_url=hook.url, webhook_secret="s" * 32)
    await not_started.start_alerts(alerts_burst_count=MOST)
    return not_started
