"""Accounts as they were last stated, what liquidates them, and what a transfer would change."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import inf, isfinite, isnan
from typing import Final

import numpy as np

from services.positions.accounts.domain.account import (
    AccountReading,
    AccountRisk,
    Betas,
    BetaSource,
    SeparatePosition,
    Source,
    pool,
    reading,
    separate,
)
from services.positions.accounts.domain.liquidation_lines import missing_betas
from services.positions.accounts.domain.stated_account import StatedAccount, unread
from services.positions.accounts.domain.still_marks import NO_MARKS
from services.positions.accounts.service.beta_estimates import BetaEstimates
from services.positions.accounts.store import FeedAccounts, stated_accounts
from services.positions.domain.scale import SCALE_FACTOR_LIMIT
from services.positions.domain.venue_answer import Flag
from services.positions.enrichment.domain.enriched_frame import EnrichedFrame
from services.positions.enrichment.domain.enrichment import Feed
from services.positions.enrichment.domain.metrics import bit
from services.positions.enrichment.service import EnrichmentService
from services.positions.service.ports import Begin
from shared import paging
from shared.clock import Clock
from shared.errors import FailedPrecondition, InvalidArgument, NotFound, invalid
from shared.paging import Page
from shared.texts import spelled

# Where positions share a margin. At any other venue each has a collateral of its own.
_POOLING: Final = frozenset({"dydx", "hyperliquid"})
_READ = ("asset_index", "side_sign", "size_usd", "entry_price_usd", "mark_price_usd")
_FIGURES = ("risk_liquidation_price_usd", "value_usd")


@dataclass(frozen=True, slots=True)
class Transfer:
    """An account before and after so much was paid in (> 0) or taken out (< 0), USD."""

    amount_usd: float
    before: AccountRisk
    after: AccountRisk


class AccountsService:
    """Use cases of accounts; nothing is stored."""

    def __init__(
        self,
        read: Begin,
        enrichment: EnrichmentService,
        clock: Clock,
        mark_max_age_seconds: float,
        betas: BetaEstimates,
    ) -> None:
        self._betas = betas
        self._read = read
        self._enrichment = enrichment
        self._clock = clock
        self._max_age = timedelta(seconds=mark_max_age_seconds)

    def readings(self, frame: EnrichedFrame) -> list[AccountReading]:
        """What is judged of accounts as of a pass: those whose positions share a margin, and that
        the venue itself states.
        """
        not_before = self._clock.now() - self._max_age
        still = _still_marks(frame)
        feeds = [
            (_source(feed, not_before), stated_accounts(feed.accounts))
            for feed in frame.feeds
            if feed.accounts is not None
        ]
        judged = [
            (one, source)
            for source, stated in feeds
            for one in stated
            if not (one.isolated or one.estimate_only)
        ]
        betas = self._betas.known({held.asset for one, _ in judged for held in one.margin.held})
        return [
            reading(one, source, betas, still.get((source.wallet, source.venue), NO_MARKS))
            for one, source in judged
        ]

    async def list(
        self, wallet: str, venue: str, page_size: int, page_token: str
    ) -> Page[AccountRisk]:
        """By wallet, venue and as the venue lists them. Raises BAD_PAGE_TOKEN, PAGE_TOKEN_MISMATCH,
        BAD_PAGE_SIZE.
        """
        context = paging.context("accounts", wallet, venue)
        request = paging.parse(page_size, page_token, context=context)
        found = [account for account, _ in await self._accounts(wallet, venue)]
        keys = [_key(account) for account in found]
        start = 0
        if request.after is not None:
            if not all(isinstance(part, str) for part in request.after):
                problem = "page_token does not belong to this list"
                raise InvalidArgument("BAD_PAGE_TOKEN", problem, fields={"page_token": problem})
            start = next((at for at, key in enumerate(keys) if key > request.after), len(found))
        return paging.cut(found[start : start + request.size + 1], request, context, _key)

    async def get(self, account_id: str) -> AccountRisk:
        """Raises NotFound ACCOUNT_NOT_FOUND."""
        return (await self._find(account_id))[0]

    async def transfer(
        self, account_id: str, amount_usd: float, betas: Mapping[str, float]
    ) -> Transfer:
        """What a transfer would change; the venue's own rules of what may be taken out are not
        asked. Raises ACCOUNT_NOT_FOUND, ACCOUNT_NOT_JUDGED, INVALID_FIELD.
        """
        account, stated = await self._find(account_id)
        if stated is None:
            raise FailedPrecondition(
                "ACCOUNT_NOT_JUDGED",
                "each of these positions has a collateral of its own; ask for one of them:"
                " sonic positions top-up POSITION",
            )
        if account.reason:
            raise FailedPrecondition(
                "ACCOUNT_NOT_JUDGED",
                f"what liquidates {account.id} is not known: {account.reason}",
            )
        held = {one.asset for one in stated.margin.held}
        betas = {
            asset: beta for name, beta in betas.items() for asset in spelled(name, held) or [name]
        }
        _check_betas(stated, betas)
        richer = replace(
            stated,
            margin=stated.margin.with_transfer(amount_usd),
            equity_usd=None if stated.equity_usd is None else stated.equity_usd + amount_usd,
        )
        given = Betas(betas, BetaSource.GIVEN) if betas else account.betas
        before, after = (pool(one, account.source, given) for one in (stated, richer))
        return Transfer(amount_usd, before, after)

    async def _find(self, account_id: str) -> tuple[AccountRisk, StatedAccount | None]:
        for found in await self._accounts():
            if found[0].id == account_id:
                return found
        raise NotFound("ACCOUNT_NOT_FOUND", f"no account has the id {account_id!r}")

    async def _accounts(
        self, wallet: str = "", venue: str = ""
    ) -> Sequence[tuple[AccountRisk, StatedAccount | None]]:
        """In order; None with positions that share nothing."""
        frame = await self._enrichment.frame()
        async with self._read() as store:
            feeds = await store.accounts.feeds(wallet, venue)
        assets = {
            held.asset for feed in feeds for one in feed.accounts or () for held in one.margin.held
        }
        betas = await self._betas.of(assets)
        found = [pair for feed in feeds for pair in self._of_feed(feed, frame, betas)]
        return sorted(found, key=lambda pair: _key(pair[0]))

    def _of_feed(
        self, feed: FeedAccounts, frame: EnrichedFrame, betas: Betas
    ) -> Iterator[tuple[AccountRisk, StatedAccount | None]]:
        source = _source(feed, self._clock.now() - self._max_age, feed.unwatched)
        rows = _rows(frame, feed.wallet, feed.venue)
        if feed.venue not in _POOLING:
            if len(rows):
                is_stale = bool(frame.columns["stale"][rows].any())
                yield separate(_positions(frame, rows), replace(source, stale=is_stale)), None
            return
        stated = feed.accounts
        if stated is None and len(rows):
            # Synced before accounts were kept: the next answer of the venue states them.
            stated = (unread("account", "NOT_STATED_YET"),)
        still = _still_marks(frame).get((feed.wallet, feed.venue), NO_MARKS)
        for one in stated or ():
            # A mark that stands still is in question in the pools that hold the asset alone.
            is_still = any(leg.asset in still for leg in one.margin.legs)
            yield pool(one, replace(source, stale=source.stale or is_still), betas), one


def _still_marks(frame: EnrichedFrame) -> Mapping[tuple[str, str], Mapping[str, float]]:
    """By wallet and venue the assets whose mark stands still, each with the highest price that
    its next one may be without being refused (see services.positions.sync.domain.leaps).
    """
    found: dict[tuple[str, str], dict[str, float]] = {}
    if frame.frozen is None:
        return found
    # Of rows that are only old their feed says so.
    columns = frame.columns
    rows = np.flatnonzero(columns["flag_bits"] & bit(Flag.MARK_FROZEN))
    places = np.stack([columns[f"{name}_index"][rows] for name in ("wallet", "venue", "asset")])
    # Of many positions by one mark one speaks.
    for row in rows[np.unique(places, axis=1, return_index=True)[1]].tolist():
        wallet = frame.wallet_names[columns["wallet_index"][row]]
        venue = frame.venue_names[columns["venue_index"][row]]
        prices = [float(columns[name][row]) for name in ("mark_price_usd", "market_price_usd")]
        highest = SCALE_FACTOR_LIMIT * max((one for one in prices if not isnan(one)), default=inf)
        found.setdefault((wallet, venue), {})[frame.asset_names[columns["asset_index"][row]]] = (
            highest
        )
    return found


def _source(
    feed: FeedAccounts | Feed, not_before: datetime, unwatched: tuple[str, ...] = ()
) -> Source:
    stale = feed.failed or feed.observed_time is None or feed.observed_time < not_before
    return Source(feed.feed_key, feed.wallet, feed.venue, feed.observed_time, stale, unwatched)


def _rows(frame: EnrichedFrame, wallet: str, venue: str) -> Sequence[int]:
    if wallet not in frame.wallet_names or venue not in frame.venue_names:
        return []
    columns = frame.columns
    is_held = columns["wallet_index"] == frame.wallet_names.index(wallet)
    is_held &= columns["venue_index"] == frame.venue_names.index(venue)
    found: list[int] = np.flatnonzero(is_held).tolist()
    return found


def _positions(frame: EnrichedFrame, rows: Sequence[int]) -> list[SeparatePosition]:
    columns = frame.columns
    figures = zip(*(columns[name][rows].tolist() for name in (*_READ, *_FIGURES)), strict=True)
    return [
        SeparatePosition(
            frame.asset_names[asset],
            # Of an unknown side, or without an entry price, how much is held is not known.
            side * size / entry if side and size > 0 and entry > 0 else None,
            _known(mark),
            _known(line),
            _known(value),
        )
        for asset, side, size, entry, mark, line, value in figures
    ]


def _known(value: float) -> float | None:
    return None if isnan(value) else value


def _key(account: AccountRisk) -> tuple[str, str, str]:
    return account.source.wallet, account.source.venue, account.name


def _check_betas(stated: StatedAccount, betas: Mapping[str, float]) -> None:
    if any(not isfinite(beta) for beta in betas.values()):
        raise invalid("betas", "finite numbers")
    missing = missing_betas(stated.margin, betas) if betas else []
    if missing:
        problem = f"also needed for {', '.join(missing)}"
        raise invalid("betas", problem, f"betas are {problem}, or for no asset at all")
