"""Sync: every wallet fetched by itself, each answer applied in its own transaction; the mode of the house."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Final

from services.positions.domain.addresses import said
from services.positions.domain.enrichment import MarketPrice
from services.positions.domain.holding import (
    NO_TERMS,
    Answer,
    Chain,
    Holding,
    WalletRef,
    WalletSyncState,
    WalletType,
)
from services.positions.domain.risk import bits_of
from services.positions.domain.sync import Decision, Reason, decide, is_complete
from services.positions.domain.wallet import Wallet
from services.positions.service.balances import BalanceKeeper
from services.positions.service.fetching import TradeRecord, Venue
from services.positions.service.needs import Begin
from services.positions.service.passes import Passes
from services.positions.store import Store
from services.positions.store.positions import stored
from services.positions.tables import INPUT_NUMBERS
from shared.clock import Clock
from shared.database.fence import Step
from shared.errors import Conflict, NotFound, SonicError
from shared.log import get_logger
from shared.names import new_id


class Mode(IntEnum):
    """Whether positions are simulated or real; the numbers are those of the proto."""

    DEMO = 1
    LIVE = 2


@dataclass(frozen=True, slots=True)
class WalletSync:
    """Outcome of one wallet at one venue. `urgent`: readers must see it before the next pass of the cycle;
    `gone`: a position was missing in a complete answer."""

    wallet: str
    venue: str
    state: WalletSyncState
    reason: str = ""
    message: str = ""
    row_count: int = 0
    refused_count: int = 0
    opened_count: int = 0
    changed_count: int = 0
    stale_count: int = 0
    closed_count: int = 0
    latency: timedelta = timedelta()
    urgent: bool = False
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Synced:
    """Answer of SyncPositions."""

    wallets: tuple[WalletSync, ...]
    refused_count: int
    active_count: int
    stale_count: int
    failed_count: int
    mode: Mode


_GONE: Final = (
    Reason.MISSING_ONCE,
    Reason.MISSING_IN_SAME_CYCLE,
    Reason.MISSING_TOO_SOON,
    Reason.MISSING_TWICE,
)


@dataclass(frozen=True, slots=True)
class _Round:
    """What all fetches of one sync share."""

    step: Step
    cycle_id: str
    prices: Mapping[str, float]
    now: datetime


class SyncService:
    """Use cases of sync and mode."""

    def __init__(
        self,
        begin: Begin,
        read: Begin,
        passes: Passes,
        venues: Sequence[Venue],
        balances: BalanceKeeper,
        clock: Clock,
        *,
        live: bool,
        demo_wallets: Sequence[str],
        max_concurrent_fetches: int,
        mark_max_age_seconds: float,
    ) -> None:
        self._begin = begin
        self._read = read
        self._passes = passes
        self._venues = tuple(venues)
        self._balances = balances
        self._clock = clock
        self._live = live
        self._demo_wallets = tuple(demo_wallets)
        self._max_concurrent_fetches = max_concurrent_fetches
        self._mark_max_age = timedelta(seconds=mark_max_age_seconds)

    async def mode(self) -> tuple[Mode, str]:
        """DEMO until SONIC_LIVE=1 or an active wallet on a real chain exists; and why."""
        async with self._read() as store:
            return await self._mode(store)

    async def sync(self, step: Step, wallet_names: Sequence[str] = ()) -> Synced:
        """Fetch every active wallet, or those named. The same cycle again answers from its record.

        Raises STALE_EPOCH, WALLET_NOT_FOUND. A wallet's failure is an outcome, not an error.
        """
        now = self._clock.now()
        async with self._begin() as store:
            known = await store.enter(step, Synced)
            if known is not None:
                return known
            mode, _ = await self._mode(store)
            wallets = await store.wallets.asked(wallet_names)
            active = {wallet.name for wallet in wallets}
            ended_count = await self._keep_demo(store, mode, active, now)
            if ended_count or not active.issuperset(self._demo_wallets):
                wallets = await store.wallets.asked(wallet_names)
        _check_names(wallet_names, wallets)
        market = await self._passes.market()
        this = _Round(step, step.cycle_id or new_id("sync"), _fresh(market, now - self._mark_max_age), now)
        outcomes = await self._fetch_all(this, wallets)
        return await self._finish(step, mode, outcomes, market, pass_needed=ended_count > 0)

    async def _finish(
        self,
        step: Step,
        mode: Mode,
        outcomes: Sequence[WalletSync],
        market: Mapping[str, MarketPrice],
        *,
        pass_needed: bool,
    ) -> Synced:
        # In a cycle the pass follows as a step of its own; by hand, or when readers must know at once, here.
        pass_needed = (
            pass_needed or (not step.cycle_id and bool(outcomes)) or any(one.urgent for one in outcomes)
        )
        frame = None
        async with self._begin() as store:
            if pass_needed:
                _, frame = await self._passes.run(store, market)
            active_count, stale_count = await store.sightings.counts()
            synced = Synced(
                wallets=tuple(outcomes),
                refused_count=sum(one.refused_count for one in outcomes),
                active_count=active_count,
                stale_count=stale_count,
                failed_count=sum(one.state is WalletSyncState.FAILED for one in outcomes),
                mode=mode,
            )
            await store.record(step, Synced, synced, self._clock.now())
        if frame is not None:
            self._passes.install(frame)
        return synced

    async def _mode(self, store: Store) -> tuple[Mode, str]:
        if self._live:
            return Mode.LIVE, "SONIC_LIVE is set."
        name = await store.wallets.real_name()
        if name is not None:
            return Mode.LIVE, f"The wallet {name} has a public address."
        return Mode.DEMO, "No wallet with a public address exists: positions and market are simulated."

    async def _keep_demo(self, store: Store, mode: Mode, active: set[str], now: datetime) -> int:
        """The simulation's wallets exist in mode DEMO; in mode LIVE its positions end. How many ended."""
        if mode is Mode.DEMO:
            for name in self._demo_wallets:
                if name not in active:
                    await store.wallets.create(demo_wallet(name, now))
                    await store.wallets.change(name, {"active": True})
            return 0
        await store.wallets.deactivate_demo()
        ended_count = await store.sightings.close_demo(now)
        if ended_count:
            await store.passes.bump_membership()
        return ended_count

    async def _fetch_all(self, this: _Round, wallets: Sequence[Wallet]) -> list[WalletSync]:
        places = asyncio.Semaphore(self._max_concurrent_fetches)

        async def one(wallet: Wallet) -> list[WalletSync]:
            async with places:
                outcomes, _ = await asyncio.gather(
                    self._fetch_wallet(this, wallet), self._balances.refresh(wallet)
                )
                return outcomes

        asked = [wallet for wallet in wallets if wallet.chain is not Chain.MANUAL]
        return [outcome for part in await asyncio.gather(*map(one, asked)) for outcome in part]

    async def _fetch_wallet(self, this: _Round, wallet: Wallet) -> list[WalletSync]:
        venues = [venue for venue in self._venues if wallet.chain in venue.chains]
        if not venues:
            message = f"No venue is asked for wallets on {wallet.chain.name}; its positions are not watched."
            async with self._begin() as store:
                await store.wallets.stamp(
                    wallet.name, WalletSyncState.FAILED, "NO_VENUE", completed_time=None
                )
            return [WalletSync(wallet.name, "", WalletSyncState.FAILED, "NO_VENUE", message)]
        return [await self._fetch(this, wallet, venue) for venue in venues]

    async def _fetch(self, this: _Round, wallet: Wallet, venue: Venue) -> WalletSync:
        start = self._clock.monotonic()
        reason, message, answer = "", "", None
        try:
            if wallet.chain is Chain.DEMO and not this.prices:
                reason, message = (
                    "PRICES_UNAVAILABLE",
                    "The simulation needs market prices and there are none.",
                )
            else:
                reference = WalletRef(wallet.name, wallet.chain, wallet.public_address)
                answer = await venue.fetch(reference, this.prices, self._clock.now())
        except SonicError as failure:
            reason, message = failure.reason.removeprefix("PROVIDER_"), failure.message
        except Exception as error:  # noqa: BLE001  an adapter's fault must not stop the other wallets
            # No traceback: the adapter's frames may hold the address.
            get_logger().error(
                "a venue adapter broke", venue=venue.name, wallet=wallet.name, error=type(error).__name__
            )
            reason, message = "INTERNAL", "The venue's adapter broke."
        latency = timedelta(seconds=self._clock.monotonic() - start)
        if answer is None:
            return replace(await self._fail(this, wallet, venue, reason, message), latency=latency)
        try:
            outcome = replace(await self._apply(this, wallet, venue, answer), latency=latency)
            return await self._confirm(this, wallet, venue, outcome)
        except Conflict as conflict:
            if conflict.reason == "STALE_EPOCH":
                raise
            failed = WalletSyncState.FAILED
            return WalletSync(
                wallet.name, venue.name, failed, conflict.reason, conflict.message, latency=latency
            )

    async def _fail(
        self, this: _Round, wallet: Wallet, venue: Venue, reason: str, message: str
    ) -> WalletSync:
        async with self._begin() as store:
            await store.enter(this.step, Synced)
            feeds = await store.wallets.feed_keys([(wallet.name, venue.name)])
            news = [await store.sightings.fail(feed_key) for feed_key in feeds.values()]
            await store.wallets.stamp(wallet.name, WalletSyncState.FAILED, reason, completed_time=None)
        return WalletSync(wallet.name, venue.name, WalletSyncState.FAILED, reason, message, urgent=any(news))

    async def _apply(self, this: _Round, wallet: Wallet, venue: Venue, answer: Answer) -> WalletSync:
        state = WalletSyncState.COMPLETE if is_complete(answer) else WalletSyncState.PARTIAL
        reason = answer.incomplete_reason or ("ROWS_REFUSED" if answer.refusals else "")
        async with self._begin() as store:
            await store.enter(this.step, Synced)
            feed_key = (await store.wallets.feed_keys([(wallet.name, venue.name)])).get(
                (wallet.name, venue.name)
            )
            if feed_key is None:
                message = "The wallet was deleted while it was fetched."
                return WalletSync(
                    wallet.name, venue.name, WalletSyncState.FAILED, "WALLET_NOT_FOUND", message
                )
            completed_time = answer.observed_time if state is WalletSyncState.COMPLETE else None
            await store.wallets.stamp(wallet.name, state, reason, completed_time=completed_time)
            known = await store.sightings.known(feed_key, [held.position_id for held in answer.holdings])
            decision = decide(known, answer, this.cycle_id, self._clock.now())
            await self._write(store, feed_key, decision, answer, this.cycle_id)
            await store.sightings.refuse(wallet.name, venue.name, answer.refusals, self._clock.now())
        return WalletSync(
            wallet=wallet.name,
            venue=venue.name,
            state=state,
            reason=reason,
            row_count=answer.row_count,
            refused_count=len(answer.refusals),
            opened_count=decision.count(Reason.OPENED, Reason.REOPENED),
            changed_count=decision.count(Reason.CHANGED, Reason.RETURNED),
            stale_count=len(decision.stale_keys),
            closed_count=len(decision.closed_keys),
            urgent=decision.regrouped,
            gone=decision.count(*_GONE) > 0,
        )

    async def _confirm(self, this: _Round, wallet: Wallet, venue: Venue, outcome: WalletSync) -> WalletSync:
        """Mark those gone that were liquidated, says the venue. Without its word they age as others."""
        if not outcome.gone or not isinstance(venue, TradeRecord):
            return outcome
        try:
            trades = await venue.liquidations(WalletRef(wallet.name, wallet.chain, wallet.public_address))
        except SonicError as failure:
            get_logger().warning("trades cannot be read", venue=venue.name, reason=failure.reason)
            return outcome
        if not trades:
            return outcome
        async with self._begin() as store:
            await store.enter(this.step, Synced)
            feeds = await store.wallets.feed_keys([(wallet.name, venue.name)])
            counts = [
                await store.sightings.liquidate(key, trades, self._clock.now()) for key in feeds.values()
            ]
            if sum(counts):
                await store.passes.bump_membership()
        return _with_liquidated(outcome, sum(counts))

    async def _write(
        self, store: Store, feed_key: int, decision: Decision, answer: Answer, cycle_id: str
    ) -> None:
        now = self._clock.now()
        await store.sightings.apply(feed_key, decision, answer.observed_time, cycle_id, now)
        if decision.written:
            assets = await store.positions.asset_keys([holding.asset for holding in decision.written])
            await store.positions.write(
                _columns(decision.written, feed_key, assets, answer.observed_time), now
            )
        with_terms = [held for held in answer.holdings if held.terms != NO_TERMS]
        if with_terms:
            await store.sightings.keep_terms(feed_key, with_terms)
        if decision.regrouped:
            await store.passes.bump_membership()


def _with_liquidated(outcome: WalletSync, count: int) -> WalletSync:
    """Liquidated is over: of those counted stale or closed a moment ago, none is stale any more."""
    return replace(
        outcome,
        stale_count=max(outcome.stale_count - count, 0),
        closed_count=max(outcome.closed_count, count),
        urgent=outcome.urgent or count > 0,
    )


def demo_wallet(name: str, now: datetime) -> Wallet:
    """A wallet of the simulation."""
    return Wallet(name, Chain.DEMO, "", "", None, None, (), True, WalletType.TEST, now)


def _check_names(wanted: Sequence[str], found: Sequence[Wallet]) -> None:
    missing = sorted(set(wanted) - {wallet.name for wallet in found})
    if missing:
        raise NotFound("WALLET_NOT_FOUND", f"no wallet is named {', '.join(map(said, missing))[:200]}")


def _fresh(market: Mapping[str, MarketPrice], not_before: datetime) -> dict[str, float]:
    """Prices that a venue's units may be checked against."""
    return {
        asset: price.price_usd
        for asset, price in market.items()
        if price.usable and price.price_time >= not_before
    }


def _columns(
    holdings: Sequence[Holding], feed_key: int, assets: Mapping[str, int], observed_time: datetime
) -> dict[str, list[object]]:
    count = len(holdings)
    return {
        "id": [held.position_id for held in holdings],
        "feed_key": [feed_key] * count,
        "asset_key": [assets[held.asset] for held in holdings],
        "side": [int(held.side) for held in holdings],
        "in_last_answer": [True] * count,
        "flag_bits": [bits_of(held.flags) for held in holdings],
        **{name: [stored(getattr(held, name)) for held in holdings] for name in INPUT_NUMBERS},
        "mark_time": [observed_time] * count,
        "note": [""] * count,
    }
