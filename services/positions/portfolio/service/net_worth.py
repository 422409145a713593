"""Money in all places, and when everything was last brought up to date."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from services.positions.domain.venue_answer import WalletSyncState
from services.positions.enrichment.domain.enrichment import Feed, MarketPrice
from services.positions.enrichment.service import EnrichmentService
from services.positions.service.ports import Begin
from services.positions.wallets.domain.wallet import Wallet
from services.positions.wallets.service.wallets import WalletsService


class FreshnessKind(IntEnum):
    """What a stamp is about; the numbers are those of the proto."""

    PRICES = 1
    POSITIONS = 2
    VENUE = 3
    WALLET = 4


@dataclass(frozen=True, slots=True)
class Freshness:
    """Last update (None = never), who said so, and whether the last try failed."""

    kind: FreshnessKind
    name: str
    update_time: datetime | None
    source: str
    failed: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PlaceBalances:
    """USD; counts of those that do not say and add nothing."""

    total_wallets_usd: float
    total_brokers_usd: float
    absent_wallet_count: int
    absent_broker_count: int

    @property
    def total_usd(self) -> float:
        """Both."""
        return self.total_wallets_usd + self.total_brokers_usd


class NetWorthService:
    """Use cases of balances and freshness."""

    def __init__(self, read: Begin, enrichment: EnrichmentService, wallets: WalletsService) -> None:
        self._read = read
        self._enrichment = enrichment
        self._wallets = wallets

    async def balances(self) -> PlaceBalances:
        """Active wallets (entered, else the value of their positions) and brokers."""
        async with self._read() as store:
            wallets = await store.wallets.active()
            total_brokers, absent_brokers = await store.brokers.total()
        known = [one.balance_usd for one in await self._wallets.valued(wallets)]
        return PlaceBalances(
            sum(value for value in known if value is not None),
            total_brokers,
            known.count(None),
            absent_brokers,
        )

    async def freshness(self) -> list[Freshness]:
        """Prices, positions, venues by name, wallets by name."""
        market = await self._enrichment.market()
        async with self._read() as store:
            state = await store.enrichment.service_state()
            feeds, _ = await store.enrichment.names()
            wallets = await store.wallets.active()
        passed = Freshness(FreshnessKind.POSITIONS, "", state.enriched_time, "pass")
        return [_prices(market), passed, *_venues(feeds.values()), *map(_wallet, wallets)]


def _prices(market: Mapping[str, MarketPrice]) -> Freshness:
    newest = max((price.price_time for price in market.values()), default=None)
    missing = newest is None
    return Freshness(
        FreshnessKind.PRICES, "", newest, "price", missing, "PRICES_UNAVAILABLE" if missing else ""
    )


def _venues(feeds: Iterable[Feed]) -> list[Freshness]:
    """The newest answer of each venue; failed when its last fetch failed for any wallet."""
    by_name: dict[str, list[Feed]] = {}
    for feed in feeds:
        by_name.setdefault(feed.venue, []).append(feed)
    stamps = []
    for name, group in sorted(by_name.items()):
        newest = max((feed.observed_time for feed in group if feed.observed_time), default=None)
        failed = any(feed.failed for feed in group)
        stamps.append(
            Freshness(
                FreshnessKind.VENUE, name, newest, name, failed, "FETCH_FAILED" if failed else ""
            )
        )
    return stamps


def _wallet(wallet: Wallet) -> Freshness:
    failed = wallet.last_sync_state is WalletSyncState.FAILED
    return Freshness(
        FreshnessKind.WALLET,
        wallet.name,
        wallet.last_sync_time,
        wallet.chain.name.lower(),
        failed,
        wallet.last_sync_reason,
    )
