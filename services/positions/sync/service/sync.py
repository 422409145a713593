"""Sync: every wallet fetched by itself, each answer applied in its own transaction; the mode."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.positions.domain.venue_answer import (
    Answer,
    Chain,
    WalletRef,
    WalletSyncState,
    WalletType,
)
from services.positions.enrichment.domain.enrichment import MarketPrice
from services.positions.enrichment.service import EnrichmentService
from services.positions.extremes.service import ExtremesService
from services.positions.service.ports import Begin
from services.positions.store import Store
from services.positions.sync.service.answer_writer import AnswerWriter
from services.positions.sync.service.forced_ends import NOTHING_SHRANK, ForcedEnds
from services.positions.sync.service.sync_result import Mode, SyncResult, WalletSync
from services.positions.sync.store.id_cache import IdCache
from services.positions.venues.venue import Parted, TradeRecord, Venue
from services.positions.wallets.domain.addresses import said
from services.positions.wallets.domain.wallet import REAL_CHAINS, Wallet
from services.positions.wallets.service.balances import BalanceKeeper
from shared.clock import Clock
from shared.database.fence import StaleEpoch, Step
from shared.errors import Conflict, NotFound, SonicError
from shared.http import asking
from shared.log import get_logger
from shared.marks import INDEXES

_REFUSED = "REFUSED"

# By wallet and venue, those in which positions are stored.
Parts = Mapping[tuple[str, str], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class _SyncRun:
    """What all fetches of one sync share."""

    step: Step
    writer: AnswerWriter
    prices: Mapping[str, float]
    force: bool
    parts: Parts
    addresses: frozenset[str]


class SyncService:
    """Use cases of sync and mode."""

    def __init__(
        self,
        begin: Begin,
        read: Begin,
        enrichment: EnrichmentService,
        venues: Sequence[Venue],
        balances: BalanceKeeper,
        clock: Clock,
        *,
        live: bool,
        demo_wallets: Sequence[str],
        extremes: ExtremesService,
        max_concurrent_fetches: int,
        mark_max_age_seconds: float,
    ) -> None:
        self._extremes = extremes
        self._forced = ForcedEnds(begin, read, clock)
        self._begin = begin
        self._read = read
        self._enrichment = enrichment
        self._venues = tuple(venues)
        self._balances = balances
        self._clock = clock
        self._live = live
        self._demo_wallets = tuple(demo_wallets)
        self._max_concurrent_fetches = max_concurrent_fetches
        self._id_cache = IdCache()
        self._mark_max_age = timedelta(seconds=mark_max_age_seconds)

    async def mode(self) -> tuple[Mode, str]:
        """DEMO until SONIC_LIVE=1 or an active wallet on a real chain exists; and why."""
        async with self._read() as store:
            return await self._mode(store)

    async def sync(
        self, step: Step, wallet_names: Sequence[str] = (), *, force: bool = False
    ) -> SyncResult:
        """Fetch every active wallet, or those named. The same cycle again answers from its record.
        `force` asks also a venue that is not to be asked for a while, once.

        Raises STALE_EPOCH, WALLET_NOT_FOUND. A wallet's failure is an outcome, not an error.
        """
        start, market = await asyncio.gather(
            self._start(step, wallet_names), self._enrichment.market(step.cycle_id)
        )
        if isinstance(start, SyncResult):
            return start
        mode, wallets, ended_count, parts = start
        addresses = await self._addresses(wallets, wallet_names)
        _check_names(wallet_names, wallets)
        prices = _fresh(market, self._clock.now() - self._mark_max_age)
        writer = AnswerWriter(self._begin, self._clock, step, self._id_cache, prices)
        run = _SyncRun(step, writer, prices, force, parts, addresses)
        outcomes, _ = await asyncio.gather(
            self._fetch_all(run, wallets), self._extremes.look(prices)
        )
        return await self._finish(step, mode, outcomes, market, pass_needed=ended_count > 0)

    async def _start(
        self, step: Step, wallet_names: Sequence[str]
    ) -> SyncResult | tuple[Mode, Sequence[Wallet], int, Parts]:
        """The mode, whom to ask, how many demo positions ended, parts; or the recorded answer."""
        async with self._read() as store:
            known = await store.enter(step, SyncResult)
            if known is not None:
                return known
            wallets = await store.wallets.asked(wallet_names)
            parts = await self._parts(store, wallets)
            if wallet_names or self._live:
                mode, _ = await self._mode(store)
            else:
                mode = Mode.LIVE if any(one.chain in REAL_CHAINS for one in wallets) else Mode.DEMO
        active = {wallet.name for wallet in wallets}
        if mode is Mode.DEMO and active.issuperset(self._demo_wallets):
            return mode, wallets, 0, parts
        async with self._begin() as store:
            ended_count = await self._keep_demo(store, mode, active, self._clock.now())
            return mode, await store.wallets.asked(wallet_names), ended_count, parts

    async def _parts(self, store: Store, wallets: Sequence[Wallet]) -> Parts:
        """Read before every fetch, and not at all where no venue is asked by parts."""
        venues = [one for one in self._venues if isinstance(one, Parted) and one.asks_parts]
        names = [one.name for one in wallets if any(one.chain in at.chains for at in venues)]
        if not names:
            return {}
        return await store.sync_rows.parts(names, [one.name for one in venues])

    async def _addresses(self, wallets: Sequence[Wallet], names: Sequence[str]) -> frozenset[str]:
        """Of all active wallets, lower case."""
        active = wallets
        if names:
            async with self._read() as store:
                active = await store.wallets.active()
        return frozenset(one.public_address.lower() for one in active if one.public_address)

    async def _finish(
        self,
        step: Step,
        mode: Mode,
        outcomes: Sequence[WalletSync],
        market: Mapping[str, MarketPrice],
        *,
        pass_needed: bool,
    ) -> SyncResult:
        # In a cycle the pass is a step of its own; by hand, or when it is urgent, it comes here.
        pass_needed = (
            pass_needed
            or (not step.cycle_id and bool(outcomes))
            or any(one.urgent for one in outcomes)
        )
        # Without a pass there is nothing that would have to be committed together.
        opened = self._enrichment.changing(market) if pass_needed else self._read()
        async with opened as store:
            active_count, stale_count = await self._enrichment.counts(store)
            synced = SyncResult(
                wallets=tuple(outcomes),
                refused_count=sum(one.refused_count for one in outcomes),
                active_count=active_count,
                stale_count=stale_count,
                failed_count=sum(one.state is WalletSyncState.FAILED for one in outcomes),
                mode=mode,
            )
            await store.record(step, SyncResult, synced, self._clock.now())
        return synced

    async def _mode(self, store: Store) -> tuple[Mode, str]:
        if self._live:
            return Mode.LIVE, "SONIC_LIVE is set."
        name = await store.wallets.real_name()
        if name is not None:
            return Mode.LIVE, f"The wallet {name} has a public address."
        return (
            Mode.DEMO,
            "No wallet with a public address exists: positions and market are simulated.",
        )

    async def _keep_demo(self, store: Store, mode: Mode, active: set[str], now: datetime) -> int:
        """The demo's wallets exist in mode DEMO; in LIVE its positions end. How many ended."""
        if mode is Mode.DEMO:
            for name in self._demo_wallets:
                if name not in active:
                    await store.wallets.create(demo_wallet(name, now))
                    await store.wallets.change(name, {"active": True})
            return 0
        await store.wallets.deactivate_demo()
        ended_count = await store.sync_rows.close_demo(now)
        if ended_count:
            await store.enrichment.bump_membership()
        return ended_count

    async def _fetch_all(self, run: _SyncRun, wallets: Sequence[Wallet]) -> list[WalletSync]:
        places = asyncio.Semaphore(self._max_concurrent_fetches)

        async def one(wallet: Wallet) -> list[WalletSync]:
            # What a provider refuses to one wallet is no refusal of the others.
            async with places:
                with asking(subject=wallet.name, forced=run.force):
                    outcomes, _ = await asyncio.gather(
                        self._fetch_wallet(run, wallet), self._balances.refresh(wallet)
                    )
                return outcomes

        asked = [wallet for wallet in wallets if wallet.chain is not Chain.MANUAL]
        fetched = await asyncio.gather(*map(one, asked))
        return _with_extent([outcome for part in fetched for outcome in part])

    async def _fetch_wallet(self, run: _SyncRun, wallet: Wallet) -> list[WalletSync]:
        venues = [venue for venue in self._venues if wallet.chain in venue.chains]
        if not venues:
            message = (
                f"No venue is asked for wallets on {wallet.chain.name}; its positions are "
                "not watched."
            )
            async with self._begin() as store:
                await store.wallets.stamp(
                    wallet.name, WalletSyncState.FAILED, "NO_VENUE", completed_time=None
                )
            return [WalletSync(wallet.name, "", WalletSyncState.FAILED, "NO_VENUE", message)]
        return [await self._fetch(run, wallet, venue) for venue in venues]

    async def _fetch(self, run: _SyncRun, wallet: Wallet, venue: Venue) -> WalletSync:
        start = self._clock.monotonic()
        reason, message, answer = "", "", None
        parts = run.parts.get((wallet.name, venue.name), ())
        reference = WalletRef(
            wallet.name, wallet.chain, wallet.public_address, parts, run.addresses
        )
        try:
            if wallet.chain is Chain.DEMO and not run.prices:
                reason, message = (
                    "PRICES_UNAVAILABLE",
                    "The simulation needs market prices and there are none.",
                )
            else:
                answer = await venue.fetch(reference, run.prices, self._clock.now())
        except SonicError as failure:
            reason, message = failure.reason.removeprefix("PROVIDER_"), failure.message
        except Exception as error:  # noqa: BLE001  an adapter's fault must not stop the other wallets
            # No traceback: the adapter's frames may hold the address.
            get_logger().error(
                "a venue adapter broke",
                venue=venue.name,
                wallet=wallet.name,
                error=type(error).__name__,
            )
            reason, message = "INTERNAL", "The venue's adapter broke."
        latency = timedelta(seconds=self._clock.monotonic() - start)
        if answer is None:
            return replace(await self._fail(run, wallet, venue, reason, message), latency=latency)
        answer = await self._without_watched(answer)
        try:
            outcome = replace(
                await run.writer.keep(wallet.name, venue.name, answer), latency=latency
            )
            if not isinstance(venue, TradeRecord):
                return outcome
            shrunk = run.writer.shrunk.get((wallet.name, venue.name), NOTHING_SHRANK)
            return await self._forced.confirm(
                run.step, reference, venue.name, venue, outcome, shrunk
            )
        except StaleEpoch:
            raise
        except Conflict as conflict:
            failed = WalletSyncState.FAILED
            return WalletSync(
                wallet.name, venue.name, failed, conflict.reason, conflict.message, latency=latency
            )

    async def _without_watched(self, answer: Answer) -> Answer:
        """The answer without those parts of its account that another active wallet is."""
        if not any(one.address for one in answer.unwatched):
            return answer
        async with self._read() as store:
            watched = {wallet.public_address.lower() for wallet in await store.wallets.active()}
        left = tuple(
            one for one in answer.unwatched if one.address.lower() not in watched or not one.address
        )
        return replace(answer, unwatched=left)

    async def _fail(
        self, run: _SyncRun, wallet: Wallet, venue: Venue, reason: str, message: str
    ) -> WalletSync:
        async with self._begin() as store:
            await store.enter(run.step, SyncResult)
            feeds = await store.wallets.feed_keys([(wallet.name, venue.name)])
            news = [await store.sync_rows.fail(feed_key) for feed_key in feeds.values()]
            await store.wallets.stamp(
                wallet.name, WalletSyncState.FAILED, reason, completed_time=None
            )
        return WalletSync(
            wallet.name, venue.name, WalletSyncState.FAILED, reason, message, urgent=any(news)
        )


def _with_extent(outcomes: Sequence[WalletSync]) -> list[WalletSync]:
    """A refusal that met every wallet of a venue is the venue's: each of them says so."""
    asked = Counter(one.venue for one in outcomes)
    refused = Counter(one.venue for one in outcomes if one.reason == _REFUSED)
    return [
        replace(
            one,
            message=f"{one.message}; it refuses all {asked[one.venue]} wallets that are asked "
            "there",
        )
        if one.reason == _REFUSED and refused[one.venue] == asked[one.venue] > 1
        else one
        for one in outcomes
    ]


def demo_wallet(name: str, now: datetime) -> Wallet:
    """A wallet of the simulation."""
    return Wallet(name, Chain.DEMO, "", "", None, None, (), True, WalletType.TEST, now)


def _check_names(wanted: Sequence[str], found: Sequence[Wallet]) -> None:
    missing = sorted(set(wanted) - {wallet.name for wallet in found})
    if missing:
        raise NotFound(
            "WALLET_NOT_FOUND", f"no wallet is named {', '.join(map(said, missing))[:200]}"
        )


def _fresh(market: Mapping[str, MarketPrice], not_before: datetime) -> dict[str, float]:
    """Prices that a venue's units may be checked against: none of an index, for a coin of its name
    is no share of it.
    """
    return {
        asset: price.price_usd
        for asset, price in market.items()
        if price.usable and price.price_time >= not_before and asset not in INDEXES
    }
