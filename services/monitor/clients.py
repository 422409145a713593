"""The other services as monitor sees them; each is asked once a pass."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from sonic.alerts.v1 import alerts_pb2, alerts_pb2_grpc
from sonic.positions.v1 import positions_pb2, positions_pb2_grpc
from sonic.price.v1 import price_pb2, price_pb2_grpc
from sonic.xcom.v1 import xcom_pb2, xcom_pb2_grpc

from services.monitor.checks import HoldingsReading, JudgedReading, PriceReading, WalletReading
from services.monitor.domain import Level, Notice
from shared.codec import from_duration, number
from shared.rpc.client import Channel, idempotent

T = TypeVar("T")

_READ_SECONDS = 5.0
# A refresh outside a cycle waits for providers.
_REFRESH_SECONDS = 45.0
_PAGE_SIZE = 500


@dataclass(frozen=True, slots=True)
class Peers:
    """Channels to those who are read and told."""

    price: Channel
    positions: Channel
    alerts: Channel
    xcom: Channel


def connect(*, price: str, positions: str, alerts: str, xcom: str) -> Peers:
    """Channels to these addresses; reads are tried again while a peer restarts."""
    return Peers(
        price=Channel(price, retry=idempotent(price_pb2.DESCRIPTOR)),
        positions=Channel(positions, retry=idempotent(positions_pb2.DESCRIPTOR)),
        alerts=Channel(alerts, retry=idempotent(alerts_pb2.DESCRIPTOR)),
        # A message carries its id: sending it again is harmless.
        xcom=Channel(xcom, retry=idempotent(xcom_pb2.DESCRIPTOR, "Send")),
    )


class PeerReadings:
    """Readings of one pass: what the cycle left, or outside of one brought up to date first."""

    def __init__(self, peers: Peers, in_cycle: bool) -> None:
        self._peers = peers
        self._refresh = not in_cycle
        self._asked: dict[str, asyncio.Task[Any]] = {}

    async def prices(self) -> tuple[PriceReading, ...]:
        """Every tracked asset."""
        return await self._once("prices", self._prices)

    async def holdings(self) -> HoldingsReading:
        """Totals and wallets."""
        return await self._once("holdings", self._holdings)

    async def judged(self) -> tuple[JudgedReading, ...]:
        """What alerts has judged."""
        return await self._once("judged", self._judged)

    async def _once(self, name: str, ask: Callable[[], Awaitable[T]]) -> T:
        if name not in self._asked:
            self._asked[name] = asyncio.ensure_future(ask())
        answer: T = await self._asked[name]
        return answer

    async def _prices(self) -> tuple[PriceReading, ...]:
        stub = self._peers.price.stub(price_pb2_grpc.PriceServiceStub)
        if self._refresh:
            refreshed = await stub.RefreshPrices(price_pb2.RefreshPricesRequest(), timeout=_REFRESH_SECONDS)
            return tuple(map(_price, refreshed.prices))
        listed = await stub.ListPrices(
            price_pb2.ListPricesRequest(page_size=_PAGE_SIZE), timeout=_READ_SECONDS
        )
        return tuple(map(_price, listed.prices))

    async def _holdings(self) -> HoldingsReading:
        if self._refresh:
            stub = self._peers.positions.stub(positions_pb2_grpc.PositionsServiceStub)
            await stub.SyncPositions(positions_pb2.SyncPositionsRequest(), timeout=_REFRESH_SECONDS)
            await stub.EnrichPositions(positions_pb2.EnrichPositionsRequest(), timeout=_REFRESH_SECONDS)
        portfolio = self._peers.positions.stub(positions_pb2_grpc.PortfolioServiceStub)
        totals, wallets = await asyncio.gather(
            portfolio.GetTotals(positions_pb2.GetTotalsRequest(), timeout=_READ_SECONDS), self._wallets()
        )
        return HoldingsReading(
            position_count=totals.position_count,
            stale_count=totals.stale_count,
            total_profit_usd=totals.total_profit_usd,
            total_pnl_usd=totals.total_pnl_usd,
            wallets=wallets,
        )

    async def _wallets(self) -> tuple[WalletReading, ...]:
        stub = self._peers.positions.stub(positions_pb2_grpc.WalletsServiceStub)
        found: list[WalletReading] = []
        request = positions_pb2.ListWalletsRequest(page_size=_PAGE_SIZE)
        while True:
            page = await stub.ListWallets(request, timeout=_READ_SECONDS)
            found += [_wallet(wallet) for wallet in page.wallets if wallet.active]
            if not page.next_page_token:
                return tuple(found)
            request.page_token = page.next_page_token

    async def _judged(self) -> tuple[JudgedReading, ...]:
        stub = self._peers.alerts.stub(alerts_pb2_grpc.AlertsServiceStub)
        if self._refresh:
            await stub.EvaluateAlerts(alerts_pb2.EvaluateAlertsRequest(), timeout=_REFRESH_SECONDS)
        summary = await stub.GetSummary(alerts_pb2.GetSummaryRequest(), timeout=_READ_SECONDS)
        return tuple(map(_judged, summary.metrics))


class XComClient:
    """Hands notices to xcom."""

    def __init__(self, channel: Channel) -> None:
        self._stub = channel.stub(xcom_pb2_grpc.XComServiceStub)

    async def send(self, notice: Notice) -> None:
        """See services.monitor.service.Teller."""
        request = xcom_pb2.SendRequest(
            request_id=notice.id,
            level=xcom_pb2.Level.Value(f"LEVEL_{notice.level.value}"),
            subject=notice.subject[:300],
            body=notice.body,
            source="monitor",
        )
        await self._stub.Send(request, timeout=_READ_SECONDS)


def _price(price: price_pb2.Price) -> PriceReading:
    age = from_duration(price, "age")
    return PriceReading(
        asset=price.asset,
        quality=price_pb2.Quality.Name(price.quality).removeprefix("QUALITY_"),
        price_usd=number(price, "price_usd"),
        age_seconds=age.total_seconds() if age is not None else None,
    )


def _wallet(wallet: positions_pb2.Wallet) -> WalletReading:
    state = positions_pb2.WalletSyncState.Name(wallet.last_sync_state).removeprefix("WALLET_SYNC_STATE_")
    return WalletReading(wallet.name, state, wallet.last_sync_reason)


def _judged(metric: alerts_pb2.MetricSummary) -> JudgedReading:
    level = alerts_pb2.Level.Name(metric.level).removeprefix("LEVEL_")
    return JudgedReading(
        kind=alerts_pb2.AlertType.Name(metric.type).removeprefix("ALERT_TYPE_"),
        scope=alerts_pb2.AlertClass.Name(metric.alert_class).removeprefix("ALERT_CLASS_"),
        level=Level(level) if level in Level.__members__ else Level.NORMAL,
        worst_value=number(metric, "worst_value"),
        worst_asset=metric.worst_asset,
        alert_count=metric.alert_count,
        stale_count=metric.stale_count,
        worst_by_asset=dict(metric.worst_by_asset),
    )
