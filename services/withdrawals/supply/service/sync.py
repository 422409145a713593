"""The venue's transactions as flows: window by window, wallet by wallet, as often as wanted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from services.withdrawals.assets.domain.settings import Asset, Wallet
from services.withdrawals.gains.domain.flows import FlowIdentity
from services.withdrawals.supply.domain.rows import Cursor, FlowRow, RowSource, shown_wallet
from services.withdrawals.supply.domain.venue import (
    KINDS,
    LEAST_WINDOW,
    Market,
    VenueTransaction,
    is_address,
    market_id_of,
    market_of,
)
from services.withdrawals.supply.ports import Venue, Watched
from services.withdrawals.supply.store.supply import Begin
from shared.clock import Clock
from shared.errors import Conflict, FailedPrecondition, SonicError, Unavailable, invalid

# Before the venue's first market.
FIRST_TIME = datetime(2022, 1, 1, tzinfo=UTC)
# A transaction may be told late.
_OVERLAP = timedelta(days=1)
_UNREAD = "the venue lists no such market: its transactions are not read"


@dataclass(frozen=True, slots=True)
class SyncProgress:
    """How far a synchronisation is; counts over all wallets."""

    wallets_total: int = 0
    wallet_count: int = 0
    wallet: str = ""
    window_count: int = 0
    seen_count: int = 0
    new_count: int = 0
    ignored_count: int = 0
    unresolved_count: int = 0
    errors: tuple[str, ...] = ()
    done: bool = False
    demo: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """From when until when, at most until now; None: as the cursors say, until now."""

    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Listed:
    """The venue's markets, names of assets by market id, and what every asset is called there."""

    markets: Sequence[Market]
    assets: Mapping[str, str]
    symbols: Mapping[str, str]

    @property
    def missing(self) -> tuple[str, ...]:
        """Names of assets whose market the venue does not list."""
        return tuple(sorted(self.symbols.keys() - set(self.assets.values())))


@dataclass(slots=True)
class _Gathered:
    """Of one wallet."""

    flows: dict[FlowIdentity, FlowRow] = field(default_factory=dict)
    seen: set[tuple[str, str, str]] = field(default_factory=set)
    unresolved_count: int = 0
    ignored_count: int = 0
    refused: list[str] = field(default_factory=list)


class SyncService:
    """One synchronisation at a time in this process; two processes write the same rows once."""

    def __init__(
        self, begin: Begin, read: Begin, watched: Watched, venue: Venue | None, clock: Clock
    ) -> None:
        self._begin = begin
        self._read = read
        self._watched = watched
        self._venue = venue
        self._clock = clock
        self._alone = asyncio.Lock()

    async def sync(self, span: Span, names: Sequence[str] = ()) -> AsyncIterator[SyncProgress]:
        """SYNC_RUNNING, NO_WALLETS, VENUE_UNAVAILABLE; one wallet's failure stops no other."""
        if self._alone.locked():
            raise Conflict("SYNC_RUNNING", "a synchronisation is under way; wait for its end")
        async with self._alone:
            async for progress in self._sync(span, names):
                yield progress

    async def catch_up(self, wallets: Sequence[str]) -> Mapping[str, str]:
        """What is new of these wallets since their cursors; why not, by wallet.

        For evaluations, which wait for nobody who reads the progress of a synchronisation slowly.
        """
        failed: dict[str, str] = {}
        known = {wallet.name: wallet for wallet in await self.wallets()}
        try:
            listed = await self._markets()
        except SonicError as error:
            return dict.fromkeys(wallets, error.message)
        for name in wallets:
            if name in known:
                try:
                    await self._wallet(known[name], Span(), listed, SyncProgress())
                except SonicError as error:
                    failed[name] = error.message
        return failed

    async def wallets(self) -> list[Wallet]:
        """Those configured, else those of samples, whose name is their address."""
        configured = await self._watched.every_wallet()
        if configured:
            return configured
        async with self._read() as store:
            names = await store.sampled_wallets()
        return [Wallet(name, (name,)) for name in names if is_address(name)]

    async def _markets(self) -> _Listed:
        if self._venue is None:
            raise Unavailable("VENUE_UNAVAILABLE", "no venue is configured")
        markets = await self._venue.markets()
        symbols = await self._symbols()
        found = {name: market_of(symbol, markets) for name, symbol in symbols.items()}
        assets = {market.id: name for name, market in found.items() if market is not None}
        return _Listed(markets, assets, symbols)

    async def _symbols(self) -> dict[str, str]:
        watched = await self._watched.watched()
        return {asset.settings.name: asset.settings.symbol for asset in watched}

    async def _sync(self, span: Span, names: Sequence[str]) -> AsyncIterator[SyncProgress]:
        if span.start is not None and span.start >= _end(span, self._clock.now()):
            raise invalid("start_time", "before end_time")
        wallets = [wallet for wallet in await self.wallets() if not names or wallet.name in names]
        watched = await self._watched.watched()
        if not wallets and not names and watched and all(asset.demo for asset in watched):
            yield await self._simulated(watched)
            return
        if not wallets:
            raise FailedPrecondition(
                "NO_WALLETS", "no such wallet is configured, and none is found in the samples"
            )
        listed = await self._markets()
        unread = [f"{name}: {_UNREAD}" for name in listed.missing]
        progress = SyncProgress(wallets_total=len(wallets), errors=tuple(unread))
        for wallet in wallets:
            progress = replace(progress, wallet=wallet.name)
            yield progress
            try:
                progress = await self._wallet(wallet, span, listed, progress)
            except SonicError as error:
                said = f"{shown_wallet(wallet.name)}: {error.message}"
                progress = replace(progress, errors=(*progress.errors, said))
            progress = replace(progress, wallet_count=progress.wallet_count + 1)
        yield replace(progress, wallet="", done=True)

    async def _simulated(self, assets: Sequence[Asset]) -> SyncProgress:
        """The flows of the simulation, which are all known: no venue is asked."""
        now = self._clock.now()
        async with self._read() as store:
            found = [await store.flows(asset.settings.name, now, demo=True) for asset in assets]
        flows = [flow for of_asset in found for flow in of_asset]
        count = len({flow.wallet for flow in flows})
        return SyncProgress(count, count, seen_count=len(flows), done=True, demo=True)

    async def _wallet(
        self,
        wallet: Wallet,
        span: Span,
        listed: _Listed,
        progress: SyncProgress,
    ) -> SyncProgress:
        now = self._clock.now()
        start, end = span.start, _end(span, now)
        if start is None:
            async with self._read() as store:
                cursor = (await store.cursors()).get(wallet.name)
            start = _start(cursor, listed.missing, end, now)
        gathered = _Gathered()
        windows = await self._windows(wallet, start, end, listed, gathered)
        flows = list(gathered.flows.values())
        is_same = listed.symbols == await self._symbols() and wallet in await self.wallets()
        async with self._begin() as store:
            now = self._clock.now()
            keys = await store.add_flows(flows, now)
            if not gathered.refused and start < end and is_same:
                # What could not be read may be a deposit: the span is whole without it only. So may
                # what was left because its asset was made meanwhile.
                seen = bool(gathered.seen)
                await store.set_cursor(Cursor(wallet.name, start, end, seen, listed.missing), now)
        errors = [f"{shown_wallet(wallet.name)}: {refused}" for refused in gathered.refused[:10]]
        return replace(
            progress,
            window_count=progress.window_count + windows,
            seen_count=progress.seen_count + len(gathered.seen),
            new_count=progress.new_count + len(keys),
            ignored_count=progress.ignored_count + gathered.ignored_count,
            unresolved_count=progress.unresolved_count + gathered.unresolved_count,
            errors=(*progress.errors, *errors),
        )

    async def _windows(
        self,
        wallet: Wallet,
        start: datetime,
        end: datetime,
        listed: _Listed,
        gathered: _Gathered,
    ) -> int:
        """Halved until each fits into an answer; how many were asked for."""
        if self._venue is None:
            raise Unavailable("VENUE_UNAVAILABLE", "no venue is configured")
        waiting, count = [(start, end)], 0
        while waiting:
            first, last = waiting.pop()
            page = await self._venue.transactions(wallet.addresses, first, last)
            count += 1
            if page.is_whole:
                gathered.refused += page.refused
                for one in page.transactions:
                    _gather(one, wallet.name, listed, gathered)
                continue
            if last - first <= LEAST_WINDOW:
                raise Unavailable(
                    "VENUE_UNAVAILABLE",
                    f"the venue tells {len(page.transactions)} of {page.total_count} transactions"
                    f" of {first:%Y-%m-%dT%H:%M:%SZ}",
                )
            # Both halves hold their common moment; a transaction told twice is one.
            middle = first + (last - first) / 2
            waiting += [(middle, last), (first, middle)]
        return count


def _end(span: Span, now: datetime) -> datetime:
    return now if span.end is None else min(span.end, now)


def _start(cursor: Cursor | None, missing: Sequence[str], end: datetime, now: datetime) -> datetime:
    """The venue's first, until everything since then was read once; then from the cursor on. One
    that is ahead was written by a clock that was, and says nothing. What was left of an asset whose
    market was missing is read once it is there.
    """
    if cursor is None or cursor.since_time > FIRST_TIME or cursor.until_time > now:
        return FIRST_TIME
    if set(cursor.passed_over) - set(missing):
        return FIRST_TIME
    return min(cursor.until_time, end) - _OVERLAP


def _gather(
    one: VenueTransaction,
    wallet: str,
    listed: _Listed,
    gathered: _Gathered,
) -> None:
    identity = (one.tx_id, one.market_id or one.market_name, one.type)
    if identity in gathered.seen:
        return
    gathered.seen.add(identity)
    kind = KINDS.get(one.type)
    if kind is None:
        gathered.ignored_count += 1
        return
    market = market_id_of(one, listed.markets)
    asset = listed.assets.get(market, "")
    if not market or not asset:
        # A market that nobody watches is known and left; one without a name is not.
        gathered.unresolved_count += not market
        gathered.ignored_count += bool(market)
        return
    row = FlowRow(
        asset=asset,
        wallet=wallet,
        market=market,
        tx_id=one.tx_id,
        kind=kind,
        units=one.units,
        flow_time=one.time,
        source=RowSource.SYNC,
        receipt_units=one.receipt_units,
        exchange_rate=one.exchange_rate,
    )
    gathered.flows[FlowIdentity(one.tx_id, market, wallet, kind)] = row
