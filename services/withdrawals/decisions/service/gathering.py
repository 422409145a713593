"""What an evaluation takes from outside before it judges: prices, a sample, flows."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from functools import partial

from services.withdrawals.assets.domain.settings import Asset, PriceConfig, Wallet
from services.withdrawals.assets.service.assets import AssetsService
from services.withdrawals.decisions.domain.inputs import HoldingFailure
from services.withdrawals.decisions.domain.reasons import Reason
from services.withdrawals.decisions.ports import PricedAsset, PriceSource
from services.withdrawals.gains.domain.flows import Holding
from services.withdrawals.prices.domain import PriceQuote, PriceRules, compare
from services.withdrawals.supply.domain.demo import demo_price_usd, next_sample_time
from services.withdrawals.supply.domain.rows import RowSource, SampleRow
from services.withdrawals.supply.domain.venue import Held, Market, market_of
from services.withdrawals.supply.ports import Venue
from services.withdrawals.supply.service.sync import SyncService
from shared.clock import Clock
from shared.errors import SonicError

_WALLETS_AT_ONCE = 4


@dataclass(slots=True)
class Gathered:
    """Of one asset. `is_asked`: whether the venue was; then its wallets' flows are known by
    cursors.
    """

    quotes: list[PriceQuote] = field(default_factory=list)
    market: Market | None = None
    is_asked: bool = False
    # The venue answered, and knows no market of the asset.
    is_unresolved: bool = False
    samples: list[SampleRow] = field(default_factory=list)
    # The venue answered of these and knows no supply of them: nothing is held, if ever it was.
    absent: list[SampleRow] = field(default_factory=list)
    # The venue answered of these wallets, and knows no supply of them in any market.
    empty: list[Holding] = field(default_factory=list)
    failures: list[HoldingFailure] = field(default_factory=list)
    collateral_units: dict[Holding, Decimal] = field(default_factory=dict)
    venue_yield_units: dict[Holding, Decimal] = field(default_factory=dict)
    wallets: list[str] = field(default_factory=list)
    # Before it nothing new comes by itself; None: only asking tells.
    due_time: datetime | None = None


class Gathering:
    """Asks the venue and the price sources. `venue` None: nothing but what is imported."""

    def __init__(
        self,
        assets: AssetsService,
        sync: SyncService,
        venue: Venue | None,
        prices: Sequence[PriceSource],
        clock: Clock,
        demo_seed: str,
    ) -> None:
        self._clock = clock
        self._assets = assets
        self._sync = sync
        self._venue = venue
        self._prices = prices
        self._demo_seed = demo_seed

    async def take(self, assets: Sequence[Asset]) -> dict[str, Gathered]:
        """By asset; who does not answer is said in it."""
        gathered = {asset.settings.name: Gathered() for asset in assets}
        if not assets:
            return gathered
        await asyncio.gather(self._ask_prices(assets, gathered), self._ask_venue(assets, gathered))
        now = self._clock.now()
        for asset in assets:
            mine = gathered[asset.settings.name]
            # What is refused as a price is none of a sample either.
            chosen = compare(mine.quotes, price_rules(asset.settings.price), now, 0).chosen
            price = None if chosen is None else chosen.price_usd
            ada = next((quote.ada_usd for quote in mine.quotes if quote.ada_usd), None)
            priced = partial(replace, price_usd=price, ada_usd=ada)
            mine.samples = list(map(priced, mine.samples))
            mine.absent = list(map(priced, mine.absent))
        return gathered

    def simulated(self, start: datetime, now: datetime) -> Gathered:
        """What the demo's asset is told; its samples are made elsewhere."""
        seed = self._demo_seed
        quotes = [
            PriceQuote(source, demo_price_usd(seed, start, now, source), now)
            for source in ("liqwid", "minswap")
        ]
        return Gathered(quotes=quotes, due_time=next_sample_time(start, now))

    async def _ask_prices(self, assets: Sequence[Asset], gathered: Mapping[str, Gathered]) -> None:
        tokens = {token.asset: token.token_id for token in await self._assets.tokens()}
        await asyncio.gather(
            *(self._ask_source(source, assets, tokens, gathered) for source in self._prices)
        )

    @staticmethod
    async def _ask_source(
        source: PriceSource,
        assets: Sequence[Asset],
        tokens: Mapping[str, str],
        gathered: Mapping[str, Gathered],
    ) -> None:
        wanted = [
            PricedAsset(one.settings.name, one.settings.symbol, tokens.get(one.settings.name, ""))
            for one in assets
            if source.name in one.settings.price.sources
        ]
        if not wanted:
            return
        try:
            found = await source.quotes(wanted)
        except SonicError as error:
            found = {one.name: PriceQuote(source.name, None, None, error.message) for one in wanted}
        for one in wanted:
            none = PriceQuote(source.name, None, None, "gave no price")
            gathered[one.name].quotes.append(found.get(one.name, none))

    async def _ask_venue(self, assets: Sequence[Asset], gathered: Mapping[str, Gathered]) -> None:
        wallets = await self._sync.wallets() if self._venue is not None else []
        if self._venue is None:
            return
        try:
            markets = await self._venue.markets()
        except SonicError as error:
            for asset in assets:
                mine = gathered[asset.settings.name]
                mine.is_asked = bool(wallets)
                mine.failures = [_failure(wallet, "", error) for wallet in _of(asset, wallets)]
                if "liqwid" in asset.settings.price.sources:
                    mine.quotes.append(PriceQuote("liqwid", None, None, error.message))
            return
        held = await self._held(wallets)
        # Of a moment before it a flow that it holds would be a gain.
        now = self._clock.now()
        for asset in assets:
            _settle(asset, gathered[asset.settings.name], markets, wallets, held, now)

    async def _held(self, wallets: Sequence[Wallet]) -> dict[str, Sequence[Held] | SonicError]:
        venue, room = self._venue, asyncio.Semaphore(_WALLETS_AT_ONCE)

        async def ask(wallet: Wallet) -> Sequence[Held] | SonicError:
            async with room:
                try:
                    return [] if venue is None else await venue.held(wallet.addresses)
                except SonicError as error:
                    return error

        found = await asyncio.gather(*map(ask, wallets))
        return {wallet.name: one for wallet, one in zip(wallets, found, strict=True)}


def price_rules(price: PriceConfig) -> PriceRules:
    """As prices are compared."""
    return PriceRules(
        sources=price.sources,
        relative=price.relative,
        epsilon=price.epsilon,
        persistence=price.persistence,
        age_limit=price.age_limit,
    )


def _settle(
    asset: Asset,
    mine: Gathered,
    markets: Sequence[Market],
    wallets: Sequence[Wallet],
    held: Mapping[str, Sequence[Held] | SonicError],
    now: datetime,
) -> None:
    """What the venue's answers say of one asset."""
    settings = asset.settings
    mine.market = market = market_of(settings.symbol, markets)
    mine.is_unresolved = market is None
    if "liqwid" in settings.price.sources:
        price = None if market is None else market.price_usd
        mine.quotes.append(
            PriceQuote("liqwid", price, now, "" if price is not None else "gave no price")
        )
    if market is None:
        return
    mine.is_asked = True
    for wallet in _of(asset, wallets):
        mine.wallets.append(wallet.name)
        found = held[wallet.name]
        if isinstance(found, SonicError):
            mine.failures.append(_failure(wallet, market.id, found))
            continue
        if not found:
            mine.empty.append(Holding(wallet.name, market.id))
        held_here = [one for one in found if one.market == market.id]
        for one in held_here:
            _hold(settings.name, wallet.name, one, market, mine, now)
        # Without a rate the venue's supply cannot be counted, and its absence says nothing.
        if not held_here and market.exchange_rate is not None:
            nothing = Held(market.id, Decimal(0), Decimal(0))
            mine.absent.append(_sample(settings.name, wallet.name, nothing, market, now))


def _hold(
    asset: str, wallet: str, one: Held, market: Market, mine: Gathered, now: datetime
) -> None:
    holding = Holding(wallet, market.id)
    if one.free_collateral_units is not None:
        mine.collateral_units[holding] = one.free_collateral_units
    if one.venue_yield_units is not None:
        mine.venue_yield_units[holding] = one.venue_yield_units
    mine.samples.append(_sample(asset, wallet, one, market, now))


def _sample(asset: str, wallet: str, one: Held, market: Market, now: datetime) -> SampleRow:
    return SampleRow(
        asset,
        wallet,
        market.id,
        now,
        one.units,
        receipt_units=one.receipt_units,
        exchange_rate=market.exchange_rate,
        source=RowSource.SYNC,
    )


def _of(asset: Asset, wallets: Sequence[Wallet]) -> list[Wallet]:
    wanted = asset.settings.wallets
    return [wallet for wallet in wallets if not wanted or wallet.name in wanted]


def _failure(wallet: Wallet, market: str, error: SonicError) -> HoldingFailure:
    return HoldingFailure(Holding(wallet.name, market), Reason.NO_DATA, error.message)
