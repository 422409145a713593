"""Whole monitor servers at a time that tests push, with real price, positions and xcom servers
beside them.

Only alerts is played: what it judged is given, so that a level can be had without a crash of the
market.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import asyncpg
import grpc
import pytest
from grpc_health.v1 import health, health_pb2_grpc
from pydantic import SecretStr
from sonic.alerts.v1 import alerts_pb2, alerts_pb2_grpc
from sonic.monitor.v1 import monitor_pb2 as pb
from sonic.monitor.v1 import monitor_pb2_grpc as rpc
from sonic.positions.v1 import positions_pb2, positions_pb2_grpc
from sonic.price.v1 import price_pb2, price_pb2_grpc
from sonic.xcom.v1 import xcom_pb2, xcom_pb2_grpc

from services.alerts import server as alerts_server
from services.monitor import server as monitor_server
from services.positions import server as positions_server
from services.price import server as price_server
from services.xcom import server as xcom_server
from shared.clock import PushedClock
from shared.lifecycle import App
from shared.rpc.client import Channel
from tests.fakes import pushing
from tests.fakes.databases import Databases
from tests.fakes.peers import FakePeers, answers

# Monitors that speak up for reasons other than a test's.
QUIET = {f"{name}_mon_enabled": False for name in ("market", "operations", "heartbeat", "xcom")}
START = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)


async def until(holds: Callable[[], Awaitable[Any] | Any], seconds: float = 30.0) -> Any:
    """Waits until `holds` gives something true, and gives it back."""
    end = time.monotonic() + seconds
    while True:
        found = holds()
        found = await found if asyncio.iscoroutine(found) else found
        if found:
            return found
        assert time.monotonic() < end, "did not come true in time"
        await asyncio.sleep(0.01)


def judged(
    kind: str, level: str, value: float | None = None, asset: str = "SOL"
) -> alerts_pb2.MetricSummary:
    summary = alerts_pb2.MetricSummary(
        type=alerts_pb2.AlertType.Value(f"ALERT_TYPE_{kind}"),
        alert_class=alerts_pb2.ALERT_CLASS_POSITION,
        level=alerts_pb2.Level.Value(f"LEVEL_{level}"),
        worst_asset=asset,
        alert_count=1,
        worst_by_asset={} if value is None else {asset: value},
    )
    if value is not None:
        summary.worst_value = value
    return summary


def heats(*raised: tuple[str, float, str]) -> alerts_pb2.MetricSummary:
    """Heat as judged position by position (id, heat, level), worst first; all of SOL."""
    readings = [
        alerts_pb2.SubjectReading(
            subject=id, asset="SOL", value=heat, level=alerts_pb2.Level.Value(f"LEVEL_{level}")
        )
        for id, heat, level in raised
    ]
    summary = judged("HEAT_INDEX", raised[0][2], raised[0][1])
    summary.raised.extend(readings)
    summary.raised_count = len(readings)
    return summary


class Judge(FakePeers):
    """Alerts as it is played, with the health every server has."""

    async def start(self) -> None:
        self._server = grpc.aio.server()
        for service in alerts_pb2.DESCRIPTOR.services_by_name.values():
            add = getattr(alerts_pb2_grpc, f"add_{service.name}Servicer_to_server")
            add(self._servicer("alerts", alerts_pb2, service), self._server)
        well: Any = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(well, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port(self.address)}"
        await self._server.start()


class Servers:
    """Starts the servers that a test needs and speaks to them; what was started is stopped in the
    end.
    """

    def __init__(self, databases: Databases, alerts: FakePeers, stack: AsyncExitStack) -> None:
        self.clock = PushedClock(START)
        self.alerts = alerts
        self.apps: dict[str, App] = {}
        self._databases = databases
        self._stack = stack

    async def start(self, name: str, **settings: object) -> App:
        """A server of this name, in place of the one that ran before."""
        modules: dict[str, Any] = {
            "price": price_server,
            "positions": positions_server,
            "xcom": xcom_server,
            "monitor": monitor_server,
            "alerts": alerts_server,
        }
        config = modules[name].Config.model_validate(
            {
                "listen_address": "127.0.0.1:0",
                "database_url": SecretStr(self._databases.url(name)),
                "shutdown_grace_seconds": 2.0,
                **settings,
            }
        )
        app: App = modules[name].build(config, self.clock)
        await self._stack.enter_async_context(app)
        self.apps[name] = app
        return app

    async def peers(self) -> None:
        """Price, positions and xcom."""
        price = await self.start("price")
        await self.start("positions", price_address=price.address)
        await self.start("xcom")

    async def monitor(self, **settings: object) -> rpc.MonitorServiceStub:
        """A monitor server that knows those that run; a second one on the same rows is a
        replica."""
        addresses = {
            f"{name}_address": self.apps[name].address if name in self.apps else "127.0.0.1:1"
            for name in ("price", "positions", "xcom")
        }
        settings = {
            **addresses,
            "alerts_address": self.alerts.address,
            "sonic_schedule": True,
            **settings,
        }
        await self.start("monitor", **settings)
        return await self.stub("monitor", rpc.MonitorServiceStub)

    async def stub(self, name: str, stub_class: Any) -> Any:
        channel = Channel(self.apps[name].address, unary_seconds=30)
        self._stack.push_async_callback(channel.stop)
        return channel.stub(stub_class)

    async def prices(self, *, refresh: bool = True) -> None:
        """Have prices, as a cycle would before it runs the monitors."""
        stub = await self.stub("price", price_pb2_grpc.PriceServiceStub)
        await stub.RefreshPrices(price_pb2.RefreshPricesRequest(force=refresh))

    async def hold(self, asset: str = "ADA") -> None:
        """A position of an asset without a market price: its figures are believed as they are."""
        stub = await self.stub("positions", positions_pb2_grpc.PositionsServiceStub)
        position = positions_pb2.Position(
            wallet="main",
            asset=asset,
            side=positions_pb2.SIDE_LONG,
            entry_price_usd=100_000.0,
            mark_price_usd=90_000.0,
            liquidation_price_usd=50_000.0,
            size_usd=1000.0,
            collateral_usd=100.0,
        )
        await stub.CreatePosition(positions_pb2.CreatePositionRequest(position=position))
        await stub.EnrichPositions(positions_pb2.EnrichPositionsRequest())

    def judge(self, *metrics: alerts_pb2.MetricSummary) -> None:
        """What alerts says from now on."""
        self.alerts.told["alerts.GetSummary"] = answers(alerts_pb2.Summary(metrics=metrics))

    async def messages(self) -> list[xcom_pb2.Message]:
        """What xcom was told by monitor, oldest first."""
        stub = await self.stub("xcom", xcom_pb2_grpc.XComServiceStub)
        listed = await stub.ListMessages(
            xcom_pb2.ListMessagesRequest(source="monitor", page_size=100)
        )
        return list(reversed(listed.messages))

    async def value(self, sql: str, *arguments: object) -> Any:
        connection = await asyncpg.connect(self._databases.url("monitor"))
        try:
            return await connection.fetchval(sql, *arguments)
        finally:
            await connection.close()

    async def execute(self, sql: str) -> None:
        connection = await asyncpg.connect(self._databases.url("monitor"))
        try:
            await connection.execute(sql)
        finally:
            await connection.close()

    async def push(
        self, holds: Callable[[], Awaitable[Any]], step_seconds: float = 5.0, most: int = 200
    ) -> Any:
        """Push the clock in steps until `holds`; the loops run between two steps."""
        for _ in range(most):
            if found := await holds():
                return found
            await pushing.push(self.clock, step_seconds)
        raise AssertionError("did not come true in time")


async def cycle(
    stub: Any, number: int = 1, epoch: int = 1, **fields: object
) -> pb.RunMonitorsResponse:
    request = pb.RunMonitorsRequest(cycle_id=f"cycle-{number}", epoch=epoch, **fields)
    answer: pb.RunMonitorsResponse = await stub.RunMonitors(request)
    return answer


def outcomes(answer: pb.RunMonitorsResponse) -> dict[str, str]:
    return {
        run.monitor: pb.RunStatus.Name(run.status).removeprefix("RUN_STATUS_")
        for run in answer.runs
    }


async def runs_of(stub: Any, monitor: str, **fields: object) -> list[pb.Run]:
    """Newest first."""
    listed = await stub.ListRuns(pb.ListRunsRequest(monitor=monitor, page_size=500, **fields))
    return list(listed.runs)


async def badges_of(stub: Any, **fields: object) -> dict[str, pb.Badge]:
    listed = await stub.ListBadges(pb.ListBadgesRequest(**fields))
    return {badge.name: badge for badge in listed.badges}


def facts(run: pb.Run) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run.metadata_json)
    return found


@pytest.fixture
async def alerts() -> AsyncIterator[FakePeers]:
    fake = Judge()
    await fake.start()
    yield fake
    await fake.stop()


@pytest.fixture
async def servers(databases: Databases, alerts: FakePeers) -> AsyncIterator[Servers]:
    async with AsyncExitStack() as stack:
        yield Servers(databases, alerts, stack)
