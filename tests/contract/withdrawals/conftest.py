"""A withdrawals server over gRPC, with a venue and price sources of the test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sonic.withdrawals.v1 import withdrawals_pb2 as pb
from sonic.withdrawals.v1 import withdrawals_pb2_grpc as rpc

from services.withdrawals import server
from services.withdrawals.decisions.domain.history import News
from services.withdrawals.decisions.ports import PricedAsset
from services.withdrawals.prices.domain import PriceQuote
from services.withdrawals.supply.domain.venue import (
    Held,
    Market,
    TransactionPage,
    VenueTransaction,
)
from shared.clock import PushedClock
from shared.errors import SonicError, Unavailable
from shared.lifecycle import App
from shared.rpc.client import Channel
from tests.fakes.databases import Databases

START = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
_PAGE = 100


@dataclass
class FakeVenue:
    """A lending venue whose page holds a hundred transactions."""

    listed: list[Market] = field(
        default_factory=lambda: [
            Market("DJED", "DJED", "DJED", 0.999, Decimal(1_000_000), 0.0213, "", Decimal("0.5"))
        ]
    )
    holdings: dict[str, list[Held]] = field(default_factory=dict)
    told: dict[str, list[VenueTransaction]] = field(default_factory=dict)
    down: bool = False
    failing: set[str] = field(default_factory=set)
    # What happens while it answers what a wallet holds.
    meanwhile: Callable[[], None] = lambda: None
    windows: list[tuple[datetime, datetime]] = field(default_factory=list)

    def hold(self, address: str, units: str, **others: Decimal | None) -> None:
        rate = Decimal(repr(self.listed[0].exchange_rate or 1))
        self.holdings[address] = [Held("DJED", Decimal(units), Decimal(units) / rate, **others)]

    async def markets(self) -> Sequence[Market]:
        self._answer("")
        return self.listed

    async def held(self, addresses: Sequence[str]) -> Sequence[Held]:
        self._answer(addresses[0])
        self.meanwhile()
        return [held for address in addresses for held in self.holdings.get(address, [])]

    async def transactions(
        self, addresses: Sequence[str], start: datetime, end: datetime
    ) -> TransactionPage:
        self._answer(addresses[0])
        self.windows.append((start, end))
        found = [
            one
            for address in addresses
            for one in self.told.get(address, [])
            if start <= one.time <= end
        ]
        return TransactionPage(found[:_PAGE], len(found))

    def _answer(self, address: str) -> None:
        if self.down or address in self.failing:
            raise Unavailable("VENUE_UNAVAILABLE", "the venue does not answer")


@dataclass
class FakePrices:
    """Minswap, as far as it is told."""

    clock: PushedClock
    usd: dict[str, float] = field(default_factory=dict)
    down: bool = False
    age: timedelta = timedelta(0)
    name: str = "minswap"

    async def quotes(self, assets: Sequence[PricedAsset]) -> Mapping[str, PriceQuote]:
        if self.down:
            raise Unavailable("PRICES_UNAVAILABLE", "minswap does not answer")
        return {
            asset.name: PriceQuote("minswap", self.usd[asset.name], self.clock.now() - self.age)
            for asset in assets
            if asset.name in self.usd
        }


@dataclass
class FakeAlerts:
    """Takes news."""

    news: list[News] = field(default_factory=list)
    down: bool = False
    refusal: SonicError | None = None
    tries: int = 0

    async def report(self, news: News) -> None:
        self.tries += 1
        if self.refusal is not None:
            raise self.refusal
        if self.down:
            raise Unavailable("ALERTS_UNAVAILABLE", "alerts does not answer")
        self.news.append(news)


@dataclass
class Bench:
    """The server, what is outside of it, and what a test says to it."""

    app: App
    advisor: rpc.AdvisorServiceStub
    assets: rpc.AssetsServiceStub
    supply: rpc.SupplyServiceStub
    venue: FakeVenue
    prices: FakePrices
    alerts: FakeAlerts
    clock: PushedClock

    async def watch_djed(self, wallets: Sequence[str] = ("main",), **settings: object) -> pb.Asset:
        """The asset, and wallets of one address of their name."""
        for name in wallets:
            await self.assets.SetWallet(
                pb.SetWalletRequest(wallet=pb.Wallet(name=name, addresses=[f"addr1{name}"]))
            )
        return await self.assets.CreateAsset(
            pb.CreateAssetRequest(asset=pb.Asset(name="djed", **settings))
        )

    async def evaluate(self, **request: object) -> pb.Decision:
        (decision,) = (await self.advisor.Evaluate(pb.EvaluateRequest(**request))).decisions
        return decision

    async def grow(
        self, hours: int, first: str = "1000", a_sample: str = "0.02", wallet: str = "main"
    ) -> Decimal:
        """Hourly samples up to this hour, a little uneven; what is held in the end."""
        lines = ["asset,wallet,market,time,units,price_usd"]
        units = Decimal(first)
        now = self.clock.now()
        for hour in range(hours, -1, -1):
            moment = (now - timedelta(hours=hour)).isoformat()
            uneven = Decimal((hour * 7919) % 13 - 6) / 10_000
            lines.append(f"djed,{wallet},DJED,{moment},{units + uneven},0.999")
            units += Decimal(a_sample)
        answer = await self.supply.ImportSamples(pb.ImportSamplesRequest(content="\n".join(lines)))
        assert not answer.refusals
        return units

    async def refer(self, hours: float, wallet: str = "") -> pb.Reference:
        """A reference so long ago."""
        reference = pb.Reference(asset="djed", wallet=wallet)
        reference.reference_time.FromDatetime(self.clock.now() - timedelta(hours=hours))
        return await self.supply.SetReference(pb.SetReferenceRequest(reference=reference))


Open = Callable[..., Awaitable[Bench]]


def reasons(decision: pb.Decision) -> list[str]:
    return [pb.Reason.Name(reason).removeprefix("REASON_") for reason in decision.reasons]


@pytest.fixture
async def open_bench(databases: Databases) -> AsyncIterator[Open]:
    """Starts servers on this test's database; two of them are two replicas."""
    opened: list[tuple[App, Channel]] = []
    clock, venue = PushedClock(START), FakeVenue()
    prices, alerts = FakePrices(clock, {"djed": 0.9985}), FakeAlerts()

    async def start(*, with_venue: bool = True, **settings: object) -> Bench:
        config = server.Config(
            listen_address="127.0.0.1:0",
            database_url=databases.url("withdrawals"),
            **{"sonic_live": True, **settings},
        )
        world = server.Outside(venue if with_venue else None, [prices], alerts)
        app = server.build(config, clock, world)
        await app.start()
        channel = Channel(app.address)
        opened.append((app, channel))
        return Bench(
            app,
            channel.stub(rpc.AdvisorServiceStub),
            channel.stub(rpc.AssetsServiceStub),
            channel.stub(rpc.SupplyServiceStub),
            venue,
            prices,
            alerts,
            clock,
        )

    yield start
    for app, channel in reversed(opened):
        await channel.stop()
        await app.stop()


@pytest.fixture
async def bench(open_bench: Open) -> Bench:
    return await open_bench()
