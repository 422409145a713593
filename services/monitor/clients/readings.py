"""The other services as monitor sees them; each is asked once a pass."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sonic.alerts.v1 import alerts_pb2, alerts_pb2_grpc
from sonic.positions.v1 import positions_pb2, positions_pb2_grpc
from sonic.price.v1 import price_pb2, price_pb2_grpc
from sonic.withdrawals.v1 import withdrawals_pb2, withdrawals_pb2_grpc
from sonic.xcom.v1 import xcom_pb2

from services.monitor.checks import (
    AnswerReading,
    BackupReading,
    CertificateReading,
    ChannelReading,
    CycleReadings,
    DiskReading,
    HoldingsReading,
    JudgedReading,
    LedgerReading,
    PastPrice,
    PriceReading,
    StreamReading,
    SubjectReading,
    WalletReading,
)
from services.monitor.clients import venues
from services.monitor.clients.probes import Probes
from services.monitor.clients.upkeep import Upkeep
from services.monitor.clients.xcom import XComClient
from services.monitor.domain.findings import Level
from services.monitor.domain.venues import FrozenMark, VenueReading
from shared.codec import from_duration, from_timestamp, number, read, to_timestamp
from shared.errors import SonicError
from shared.http.scope import asking
from shared.rpc.client import Channel, idempotent
from shared.service_tokens import Identity

T = TypeVar("T")

_READ_SECONDS = 5.0
# A refresh outside a cycle waits for providers.
_REFRESH_SECONDS = 45.0
_PAGE_SIZE = 500
# 26 hours of prices, one every 30 seconds, are 3120.
_HISTORY_PAGES = 10


@dataclass(frozen=True, slots=True)
class Peers:
    """Channels to those who are read, and who else can be asked."""

    price: Channel
    positions: Channel
    alerts: Channel
    xcom: XComClient
    probes: Probes
    upkeep: Upkeep
    withdrawals: Channel | None = None


# A message carries its id: sending it again is harmless.
_RETRIED: Mapping[str, Sequence[str]] = {
    "price": idempotent(price_pb2.DESCRIPTOR),
    "positions": idempotent(positions_pb2.DESCRIPTOR),
    "alerts": idempotent(alerts_pb2.DESCRIPTOR),
    "withdrawals": idempotent(withdrawals_pb2.DESCRIPTOR),
    "xcom": idempotent(xcom_pb2.DESCRIPTOR, "Send"),
}


def channels(addresses: Mapping[str, str], identity: Identity | None = None) -> dict[str, Channel]:
    """A channel to each service with an address; reads are tried again while it restarts."""
    return {
        name: Channel(address, retry=_RETRIED.get(name, ()), identity=identity, peer=name)
        for name, address in addresses.items()
        if address
    }


class PeerReadings:
    """Readings of one pass: what the cycle left, or outside of one brought up to date first."""

    def __init__(self, peers: Peers, refresh: bool, cycle_readings: CycleReadings) -> None:
        self._peers = peers
        self._refresh = refresh
        self._streams = cycle_readings.streams
        self._asked: dict[str, asyncio.Future[Any]] = {}
        for name in ("prices", "holdings"):
            if (known := getattr(cycle_readings, name)) is not None:
                self._asked[name] = asyncio.get_running_loop().create_future()
                self._asked[name].set_result(known)

    def prefetch(self) -> None:
        """Ask now what the monitors of every cycle need, before it is known which of them run."""
        self._begin("prices", self._prices)
        self._begin("holdings", self._holdings)
        self._begin("judged", self._judged)

    async def prices(self) -> tuple[PriceReading, ...]:
        """Every tracked asset."""
        return await self._once("prices", self._prices)

    async def holdings(self) -> HoldingsReading:
        """Totals and wallets."""
        return await self._once("holdings", self._holdings)

    async def judged(self) -> tuple[JudgedReading, ...]:
        """What alerts has judged."""
        return await self._once("judged", self._judged)

    async def venues(self) -> tuple[VenueReading, ...]:
        """Every venue at which a wallet is looked at."""
        return await self._once("venues", self._venues)

    async def frozen_marks(self) -> tuple[FrozenMark, ...]:
        """Marks that positions believes to stand still."""
        return venues.believed_marks(await self._once("columns", self._columns))

    async def set_frozen_marks(self, marks: Sequence[FrozenMark]) -> None:
        """Tell positions."""
        await venues.set_frozen_marks(self._peers.positions, marks, _READ_SECONDS)

    async def history(self, asset: str, since: datetime) -> tuple[PastPrice, ...]:
        """Every price since then, oldest first."""
        return await self._once(f"history {asset}", lambda: self._history(asset, since))

    async def refused_advice(self) -> Mapping[str, str] | None:
        """See services.monitor.checks.Readings."""
        if self._peers.withdrawals is None:
            return None
        stub = self._peers.withdrawals.stub(withdrawals_pb2_grpc.AdvisorServiceStub)
        request = withdrawals_pb2.GetNewsStateRequest()
        answer = await stub.GetNewsState(request, timeout=_READ_SECONDS)
        return {one.asset: one.refusal for one in answer.refused}

    async def services(self) -> tuple[AnswerReading, ...]:
        """Who answers."""
        return await self._once("services", self._peers.probes.services)

    async def hosts(self) -> tuple[AnswerReading, ...]:
        """Which providers answer."""
        return await self._once("hosts", self._peers.probes.hosts)

    async def channels(self) -> tuple[ChannelReading, ...]:
        """The configured channels."""
        return await self._once("channels", self._peers.xcom.channels)

    async def ping(self, channel: str) -> str:
        """One test message now."""
        return await self._peers.xcom.ping(channel)

    async def streams(self) -> tuple[StreamReading, ...] | None:
        """As the cycle said."""
        return self._streams

    async def disk(self) -> DiskReading | None:
        """The disk of the state's folder."""
        return await self._once("disk", self._peers.probes.disk)

    async def backup(self) -> BackupReading | None:
        """The backups of this machine."""
        return await self._once("backup", self._peers.upkeep.backup)

    async def certificates(self) -> tuple[CertificateReading, ...]:
        """The certificates of this machine."""
        return await self._once("certificates", self._peers.upkeep.certificates)

    async def storage(self) -> Mapping[str, int]:
        """What each service keeps."""
        return await self._once("storage", self._peers.probes.storage)

    async def ledger(self) -> LedgerReading | None:
        """The age of the ledger of alerts."""
        return await self._once("ledger", self._ledger)

    async def twilio(self) -> str | None:
        """Whether the credentials are good."""
        return await self._once("twilio", self._peers.probes.twilio)

    async def _once(self, name: str, ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
        self._begin(name, ask)
        # Several checks wait for one answer: who gives up does not take it from the others.
        answer: T = await asyncio.shield(self._asked[name])
        return answer

    def _begin(self, name: str, ask: Callable[[], Coroutine[Any, Any, object]]) -> None:
        if name not in self._asked:
            # Who runs a monitor by hand wants to know how it is now, not what is remembered.
            with asking(forced=self._refresh):
                asked = asyncio.create_task(ask(), name=f"reading {name}")
            asked.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._asked[name] = asked

    async def _history(self, asset: str, since: datetime) -> tuple[PastPrice, ...]:
        stub = self._peers.price.stub(price_pb2_grpc.PriceServiceStub)
        request = price_pb2.ListPriceHistoryRequest(
            asset=asset, page_size=_PAGE_SIZE, start_time=to_timestamp(since)
        )
        found: list[PastPrice] = []
        for _ in range(_HISTORY_PAGES):
            page = await stub.ListPriceHistory(request, timeout=_READ_SECONDS)
            for record in page.records:
                price_time = from_timestamp(record, "price_time")
                if price_time is not None and record.price_usd > 0:
                    found.append(PastPrice(price_time, record.price_usd))
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
        return tuple(reversed(found))

    async def _prices(self) -> tuple[PriceReading, ...]:
        stub = self._peers.price.stub(price_pb2_grpc.PriceServiceStub)
        if self._refresh:
            refreshed = await stub.RefreshPrices(
                price_pb2.RefreshPricesRequest(), timeout=_REFRESH_SECONDS
            )
            return tuple(map(_price, refreshed.prices))
        listed = await stub.ListPrices(
            price_pb2.ListPricesRequest(page_size=_PAGE_SIZE), timeout=_READ_SECONDS
        )
        return tuple(map(_price, listed.prices))

    async def _holdings(self) -> HoldingsReading:
        if self._refresh:
            stub = self._peers.positions.stub(positions_pb2_grpc.PositionsServiceStub)
            await stub.SyncPositions(positions_pb2.SyncPositionsRequest(), timeout=_REFRESH_SECONDS)
            await stub.EnrichPositions(
                positions_pb2.EnrichPositionsRequest(), timeout=_REFRESH_SECONDS
            )
        portfolio = self._peers.positions.stub(positions_pb2_grpc.PortfolioServiceStub)
        totals, wallets = await asyncio.gather(
            portfolio.GetTotals(positions_pb2.GetTotalsRequest(), timeout=_READ_SECONDS),
            self._wallets(),
        )
        return read(HoldingsReading, totals, wallets=wallets)

    async def _venues(self) -> tuple[VenueReading, ...]:
        # Outside of a cycle the holdings are what brings positions up to date.
        if self._refresh:
            await self.holdings()
        wallets = await self._once("wallets", self._all_wallets)
        # Columns are the dear part, and without a wallet at a venue nobody asks for them.
        if not venues.are_watched(wallets):
            return ()
        held = await self._once("columns", self._columns)
        return venues.readings(wallets, held)

    async def _columns(self) -> list[Any]:
        return await venues.parts(self._peers.positions, _READ_SECONDS)

    async def _wallets(self) -> tuple[WalletReading, ...]:
        wallets = await self._once("wallets", self._all_wallets)
        return tuple(_wallet(wallet) for wallet in wallets if _is_fetched(wallet))

    async def _all_wallets(self) -> tuple[positions_pb2.Wallet, ...]:
        stub = self._peers.positions.stub(positions_pb2_grpc.WalletsServiceStub)
        found: list[positions_pb2.Wallet] = []
        request = positions_pb2.ListWalletsRequest(page_size=_PAGE_SIZE)
        while True:
            page = await stub.ListWallets(request, timeout=_READ_SECONDS)
            found += page.wallets
            if not page.next_page_token:
                return tuple(found)
            request.page_token = page.next_page_token

    async def _ledger(self) -> LedgerReading | None:
        stub = self._peers.alerts.stub(alerts_pb2_grpc.LedgerServiceStub)
        try:
            age = await stub.GetLedgerAge(alerts_pb2.GetLedgerAgeRequest(), timeout=_READ_SECONDS)
        except SonicError:
            return None
        kept = from_duration(age, "kept")
        return read(
            LedgerReading,
            age,
            kept_days=None if kept is None else kept / timedelta(days=1),
            oldest_time=from_timestamp(age, "oldest_time"),
            file_bytes=age.file_byte_count if age.HasField("file_byte_count") else None,
        )

    async def _judged(self) -> tuple[JudgedReading, ...]:
        stub = self._peers.alerts.stub(alerts_pb2_grpc.AlertsServiceStub)
        if self._refresh:
            await stub.EvaluateAlerts(alerts_pb2.EvaluateAlertsRequest(), timeout=_REFRESH_SECONDS)
        summary = await stub.GetSummary(alerts_pb2.GetSummaryRequest(), timeout=_READ_SECONDS)
        return tuple(map(_judged, summary.metrics))


def _price(price: price_pb2.Price) -> PriceReading:
    age = from_duration(price, "age")
    return PriceReading(
        asset=price.asset,
        quality=price_pb2.Quality.Name(price.quality).removeprefix("QUALITY_"),
        price_usd=number(price, "price_usd"),
        age_seconds=age.total_seconds() if age is not None else None,
    )


def _is_fetched(wallet: positions_pb2.Wallet) -> bool:
    """What is entered by hand is never fetched."""
    return wallet.active and wallet.chain != positions_pb2.CHAIN_MANUAL


def _wallet(wallet: positions_pb2.Wallet) -> WalletReading:
    state = positions_pb2.WalletSyncState.Name(wallet.last_sync_state).removeprefix(
        "WALLET_SYNC_STATE_"
    )
    parts = tuple(wallet.unwatched) if state == "PARTIAL" else ()
    return WalletReading(wallet.name, state, wallet.last_sync_reason, parts)


def _judged(metric: alerts_pb2.MetricSummary) -> JudgedReading:
    return read(
        JudgedReading,
        metric,
        kind=alerts_pb2.AlertType.Name(metric.type).removeprefix("ALERT_TYPE_"),
        scope=alerts_pb2.AlertClass.Name(metric.alert_class).removeprefix("ALERT_CLASS_"),
        level=_level(metric.level),
        stale_count=metric.stale_count - metric.unknown_count,
        raised=tuple(read(SubjectReading, one, level=_level(one.level)) for one in metric.raised),
    )


def _level(level: alerts_pb2.Level.ValueType) -> Level:
    name = alerts_pb2.Level.Name(level).removeprefix("LEVEL_")
    return Level[name] if name in Level.__members__ else Level.NORMAL
