"""The words of a night: at ten the mark is 89, five minutes pass, the webhook heard exactly one
HIGH.

Servers are real and share one pushed clock; a cycle runs each minute. Moments are written "10:05".
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import asyncpg
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from sonic.alerts.v1 import alerts_pb2, alerts_pb2_grpc
from sonic.cyclone.v1 import cyclone_pb2, cyclone_pb2_grpc
from sonic.monitor.v1 import monitor_pb2, monitor_pb2_grpc
from sonic.positions.v1 import positions_pb2, positions_pb2_grpc
from sonic.xcom.v1 import xcom_pb2, xcom_pb2_grpc

from services.cli.connection import System, connected
from shared.clock import PushedClock
from tests.e2e.ears import Ears, Heard
from tests.e2e.standing import RunningSystem
from tests.e2e.world import Held, World, base58_address, world
from tests.fakes.databases import Databases
from tests.fakes.webhook import FakeWebhook

FIRST_NIGHT = datetime(2026, 3, 1, 9, 58, tzinfo=UTC)
WALLET = "HskfdWhZTfsEL2he8iqJmXmbHdj5vr5xBooRnUfQs5PY"
SETTINGS = {
    "SONIC_SCHEDULE": "0",
    "WEBHOOK_TIMEOUT_SECONDS": "0.3",
    "SMTP_TIMEOUT_SECONDS": "0.3",
    # The second source is asked three times a second at most, by the wall clock.
    "PRICE_SOURCES": "coingecko",
    # It speaks of every jump of the price, and these nights are full of them.
    "MARKET_MON_ENABLED": "0",
}
# Real seconds without news after which a script gives up.
_PATIENCE_SECONDS = 20.0
# While a cycle runs the clock flows a little: whoever backs off must come back.
_FLOW_EVERY_SECONDS, _FLOW_SECONDS, _FLOW_MOST_SECONDS = 0.02, 0.25, 40.0


@dataclass
class Night:
    """One system, one long position in SOL (entry 100, liquidation 80: 5 % of travel a dollar)."""

    standing: RunningSystem
    servers: System
    outside: World
    ears: Ears
    clock: PushedClock
    cycle: cyclone_pb2.Cycle = field(default_factory=cyclone_pb2.Cycle)
    # The providers go on answering what they last said, stamped as it was.
    frozen: bool = False
    _count: int = 0

    async def begin(self) -> None:
        """The next evening: nothing is held, everything works, what was under way has ended."""
        self.ears.mend()
        self.providers_live()
        await self.comes_back()
        await self.contacts()
        self._count += 1
        dusk = FIRST_NIGHT + timedelta(days=self._count)
        self.clock.advance((dusk - self.clock.now()).total_seconds())
        await self.lets_go()
        self.outside.held, self.outside.marks = [], {"BTC": 97_000.0, "ETH": 3_400.0, "SOL": 101.0}
        await self._run_cycle()
        await self.settled()
        self.ears.listen(self.clock.now())
        self.ears.heard.clear()
        key = base58_address(Random(self._count))
        self.outside.held = [Held(key, "SOL", "long", 100.0, 1000.0, 202.7, 80.0)]

    # What happens.

    async def at(self, moment: str, *, mark: float) -> None:
        """At this moment the mark of SOL is this, and a cycle runs."""
        await self.until(moment)
        self.outside.marks = self.outside.marks | {"SOL": mark}
        await self._minute()

    async def until(self, moment: str) -> None:
        """Time passes, with a cycle each minute in between, up to this moment."""
        end = self._moment(moment)
        assert end >= self.clock.now(), f"{moment} has passed, it is {self.clock.now():%H:%M:%S}"
        while (left := (end - self.clock.now()).total_seconds()) > 60:
            self.clock.advance(left % 60 or 60)
            await self._minute()
        self.clock.advance(left)

    async def holds(self, count: int, *, liquidation: float | str) -> None:
        """So many more long positions in SOL, entered by hand at 100."""
        stub = await self.servers.stub("positions", positions_pb2_grpc.PositionsServiceStub)
        lines = ["id,asset,side,entry_price_usd,liquidation_price_usd,size_usd,collateral_usd"]
        lines += [
            f"{liquidation}-{number},SOL,LONG,100,{liquidation},1000,200" for number in range(count)
        ]
        content = "\n".join(lines).encode()
        kind = positions_pb2.FILE_FORMAT_CSV
        done = await stub.ImportPositions(
            positions_pb2.ImportPositionsRequest(format=kind, content=content)
        )
        assert done.created_count == count

    async def lets_go(self) -> None:
        """What was entered by hand is deleted."""
        stub = await self.servers.stub("positions", positions_pb2_grpc.PositionsServiceStub)
        listed = await stub.ListPositions(positions_pb2.ListPositionsRequest(page_size=500))
        for one in listed.positions:
            if one.id not in {held.key for held in self.outside.held}:
                await stub.DeletePosition(positions_pb2.DeletePositionRequest(id=one.id))

    def providers_die(self) -> None:
        """None of them answers anything useful."""
        self.frozen = True
        self.outside.die()

    def providers_freeze(self) -> None:
        """Prices are answered as they last were, with the time they had then; the venue does not
        answer.
        """
        self.frozen = True
        self.outside.venue_dies()

    def providers_live(self) -> None:
        """They answer the present state again."""
        self.frozen = False

    async def goes_away(self, name: str) -> None:
        """A server ends."""
        await self.standing.stop(name)

    async def comes_back(self) -> None:
        """Whoever is away starts again."""
        await self.standing.start_all()

    async def schema_is_at(self, name: str, revision: str) -> None:
        """The schema of a server is that of another version of the program."""
        connection = await asyncpg.connect(self.standing.databases.owner_url(name))
        await connection.execute("update alembic_version set version_num = $1", revision)
        await connection.close()

    async def restart(self, name: str) -> None:
        """A server ends and starts again."""
        await self.standing.stop(name)
        await self.standing.start(name)

    async def acknowledge(self, minutes: float = 60) -> None:
        """Somebody says that they heard the alert."""
        stub = await self.servers.stub("alerts", alerts_pb2_grpc.AttentionServiceStub)
        alert = await self.alert()
        span = Duration(seconds=round(minutes * 60))
        await stub.AcknowledgeAlert(alerts_pb2.AcknowledgeAlertRequest(id=alert.id, duration=span))

    async def silence(self, minutes: float, level: int = alerts_pb2.LEVEL_HIGH) -> None:
        """Somebody wants to hear nothing up to this level."""
        stub = await self.servers.stub("alerts", alerts_pb2_grpc.AttentionServiceStub)
        alert = await self.alert()
        request = alerts_pb2.SilenceAlertRequest(id=alert.id, level=level)
        request.duration.FromTimedelta(timedelta(minutes=minutes))
        await stub.SilenceAlert(request)

    async def contacts(self, *addresses: str, wait_seconds: int = 120) -> None:
        """Who is told by mail, one after another, while nobody acknowledges."""
        stub = await self.servers.stub("xcom", xcom_pb2_grpc.EscalationServiceStub)
        chain = xcom_pb2.EscalationChain()
        for address in addresses:
            route = xcom_pb2.ContactRoute(channel="email", address=address)
            wait = Duration(seconds=wait_seconds)
            chain.contacts.append(xcom_pb2.Contact(name=address, wait=wait, routes=[route]))
        await stub.UpdateEscalationChain(
            xcom_pb2.UpdateEscalationChainRequest(escalation_chain=chain)
        )

    async def acknowledge_message(self) -> None:
        """Somebody says that they got the last message about SOL."""
        stub = await self.servers.stub("xcom", xcom_pb2_grpc.XComServiceStub)
        escalation = await self.servers.stub("xcom", xcom_pb2_grpc.EscalationServiceStub)
        last = (
            await stub.ListMessages(xcom_pb2.ListMessagesRequest(source="alerts", page_size=1))
        ).messages[0]
        await escalation.AckMessage(xcom_pb2.AckMessageRequest(id=last.id, by="jane"))

    # What is seen.

    async def heard(self, start: str, end: str, by: str = "webhook") -> list[str]:
        """Subjects heard from the first moment on and before the second, in order."""
        return [one.subject for one in await self.arrived(start, end, by)]

    async def arrived(self, start: str, end: str, by: str = "webhook") -> list[Heard]:
        """The same, with keys."""
        await self.settled()
        self.ears.listen(self.clock.now())
        first, last = self._moment(start), self._moment(end)
        # The position of the evening before is seen to be gone only now, and whoever heard of it
        # hears that.
        tonight = [one for one in self.ears.heard if not one.subject.startswith("CLOSED: ")]
        return [one for one in tonight if one.channel == by and first <= one.time < last]

    async def hears(self, count: int) -> None:
        """Wait until so many words more have come to the webhook, without a push."""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while self.ears.waiting_count < count:
                await asyncio.sleep(0.01)

    async def alert(self) -> alerts_pb2.Alert:
        """The travel alert of the position."""
        stub = await self.servers.stub("alerts", alerts_pb2_grpc.AlertsServiceStub)
        key = self.outside.held[0].key
        (alert,) = (await stub.ListAlerts(alerts_pb2.ListAlertsRequest(position_id=key))).alerts
        return alert

    async def level(self) -> str:
        return alerts_pb2.Level.Name((await self.alert()).level).removeprefix("LEVEL_")

    async def badge(self, name: str) -> monitor_pb2.Badge:
        """A badge that is set."""
        stub = await self.servers.stub("monitor", monitor_pb2_grpc.MonitorServiceStub)
        badges = (await stub.ListBadges(monitor_pb2.ListBadgesRequest())).badges
        return next(badge for badge in badges if badge.name == name)

    async def ledger(self, anchor: str = "") -> alerts_pb2.VerifyLedgerResponse:
        """What the ledger says of itself, held against a head that somebody kept."""
        stub = await self.servers.stub("alerts", alerts_pb2_grpc.LedgerServiceStub)
        return await stub.VerifyLedger(alerts_pb2.VerifyLedgerRequest(anchor_hash=anchor))

    @asynccontextmanager
    async def tail_cut_from(self, head: str) -> AsyncIterator[None]:
        """The owner of the tables deletes this row, all after it, and the anchor kept beside."""
        owner = await asyncpg.connect(self.standing.databases.owner_url("alerts"))
        gone = (
            "delete from ledger where sequence >= (select sequence from ledger where hash = $1)"
            " returning *"
        )
        rows = await owner.fetch(gone, bytes.fromhex(head))
        anchors = await owner.fetch("delete from anchor returning *")
        yield
        for table, kept in (("ledger", rows), ("anchor", anchors)):
            records = [tuple(row) for row in kept]
            await owner.copy_records_to_table(table, records=records, columns=list(kept[0].keys()))
        await owner.close()

    async def untold_count(self) -> int:
        """How much alerts has to tell and nobody has taken over."""
        stub = await self.servers.stub("alerts", alerts_pb2_grpc.AlertsServiceStub)
        return (await stub.GetSummary(alerts_pb2.GetSummaryRequest())).waiting_count

    async def settled(self) -> None:
        """Wait until nothing is on its way: what is left waits for its time, or for a channel that
        hangs.
        """
        await _until(self._is_settled)

    async def _is_settled(self) -> bool:
        if not {"alerts", "xcom"} <= self.standing.names:
            return True
        if await self.untold_count():
            return False
        xcom = await self.servers.stub("xcom", xcom_pb2_grpc.XComServiceStub)
        request = xcom_pb2.ListDeliveriesRequest(
            state=xcom_pb2.DELIVERY_STATE_QUEUED, page_size=500
        )
        queued = (await xcom.ListDeliveries(request)).deliveries
        return not [one for one in queued if one.due_time.ToDatetime(UTC) <= self.clock.now()]

    async def _minute(self) -> None:
        await self._run_cycle()
        await self.settled()
        self.ears.listen(self.clock.now())

    async def _run_cycle(self) -> None:
        if not self.frozen:
            self.outside.publish()
        stub = await self.servers.stub("cyclone", cyclone_pb2_grpc.CycloneServiceStub)
        async with _flowing(self.clock):
            async for progress in stub.RunCycle(
                cyclone_pb2.RunCycleRequest(), timeout=_PATIENCE_SECONDS
            ):
                self.cycle = progress.cycle

    def _moment(self, text: str) -> datetime:
        hour, minute = text.split(":")
        night = FIRST_NIGHT + timedelta(days=self._count)
        return night.replace(hour=int(hour), minute=int(minute))


@asynccontextmanager
async def _flowing(clock: PushedClock) -> AsyncIterator[None]:
    async def flow() -> None:
        for _ in range(int(_FLOW_MOST_SECONDS / _FLOW_SECONDS)):
            await asyncio.sleep(_FLOW_EVERY_SECONDS)
            clock.advance(_FLOW_SECONDS)

    flowing = asyncio.create_task(flow())
    try:
        yield
    finally:
        flowing.cancel()
        with suppress(asyncio.CancelledError):
            await flowing


async def _until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while not await holds():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def nights(
    databases: Databases, home: Path, more: Mapping[str, str] | None = None
) -> AsyncIterator[Night]:
    """A system for many nights; only travel to liquidation is judged in it."""
    clock = PushedClock(FIRST_NIGHT)
    async with AsyncExitStack() as stack:
        outside = await stack.enter_async_context(world(seed=0))
        outside.seconds = lambda: clock.now().timestamp()
        webhook = await stack.enter_async_context(FakeWebhook())
        ears = Ears(outside, webhook)
        settings = (
            outside.environment() | SETTINGS | {"WEBHOOK_URL": webhook.url} | dict(more or {})
        )
        standing = RunningSystem(databases, home, clock, settings)
        stack.push_async_callback(standing.stop_all)
        await standing.start_all()
        servers = await stack.enter_async_context(connected(standing.addresses))
        await _only_travel_is_judged(servers)
        wallets = await servers.stub("positions", positions_pb2_grpc.WalletsServiceStub)
        chain = positions_pb2.CHAIN_SOLANA
        wallet = positions_pb2.Wallet(name="main", chain=chain, public_address=WALLET, active=True)
        await wallets.CreateWallet(positions_pb2.CreateWalletRequest(wallet=wallet))
        yield Night(standing, servers, outside, ears, clock)


async def _only_travel_is_judged(servers: System) -> None:
    stub = await servers.stub("alerts", alerts_pb2_grpc.ThresholdsServiceStub)
    listed = await stub.ListThresholds(alerts_pb2.ListThresholdsRequest(page_size=500))
    for one in listed.thresholds:
        if one.type != alerts_pb2.ALERT_TYPE_TRAVEL_PERCENT:
            changed = alerts_pb2.Threshold(id=one.id, enabled=False)
            mask = FieldMask(paths=["enabled"])
            await stub.UpdateThreshold(
                alerts_pb2.UpdateThresholdRequest(threshold=changed, update_mask=mask)
            )
