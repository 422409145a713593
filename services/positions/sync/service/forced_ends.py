"""Asks a venue about positions that are gone or shrank: whether it took them itself. Nobody is
asked while nothing is gone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from services.positions.domain.venue_answer import ForcedTrade, WalletRef
from services.positions.service.ports import Begin
from services.positions.sync.domain.events import APART, Happening, ended_by, in_part
from services.positions.sync.service.sync_result import SyncResult, WalletSync
from services.positions.venues.venue import TradeRecord
from shared.clock import Clock
from shared.database.fence import Step
from shared.errors import SonicError
from shared.log import get_logger

# Of what was closed by an answer of so long ago trades may still be found.
_CLOSED_WITHIN: Final = timedelta(minutes=10)
# A venue keeps its trades for long, but what ended so long ago is told by nobody any more.
_LONGEST: Final = timedelta(days=7)
# What shrank or was closed while trades could not be read is asked about again for so long.
_ASKED_AGAIN_WITHIN: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Shrunk:
    """A position that was found smaller than when it was seen last, at `since`."""

    happening: Happening
    since: datetime
    found_time: datetime


NOTHING_SHRANK: Final[Sequence[Shrunk]] = ()


class ForcedEnds:
    """Use case of one wallet at one venue, after its answer was stored."""

    def __init__(self, begin: Begin, read: Begin, clock: Clock) -> None:
        self._begin = begin
        self._read = read
        self._clock = clock
        # What shrank and could not be asked about, by wallet and venue.
        self._unasked: dict[tuple[str, str], Sequence[Shrunk]] = {}
        # Where something is gone and could not be asked about, since when.
        self._unanswered: dict[tuple[str, str], datetime] = {}

    async def confirm(
        self,
        step: Step,
        wallet: WalletRef,
        venue: str,
        record: TradeRecord,
        outcome: WalletSync,
        shrunk: Sequence[Shrunk],
    ) -> WalletSync:
        """End those that the venue says it ended, and tell of what it took in part; the others age
        as all do. Trades that cannot be read are asked for again while something is missing, and
        for ten minutes after something shrank or was missing.
        """
        now = self._clock.now()
        feed = (wallet.name, venue)
        parts = self._with_unasked(feed, shrunk, now) if record.forces_parts else NOTHING_SHRANK
        ids = [one.happening.position_id for one in parts]
        since = min((one.since for one in parts), default=None)
        unanswered = self._unanswered.get(feed, now - _ASKED_AGAIN_WITHIN)
        is_gone = outcome.gone or unanswered > now - _ASKED_AGAIN_WITHIN
        if is_gone:
            async with self._read() as store:
                gone, lost = await store.forced.gone(wallet.name, venue, now - _CLOSED_WITHIN)
            ids, since = [*ids, *gone], min(filter(None, (since, lost)), default=None)
        if not ids or since is None:
            return outcome
        asked_since = max(since - APART, now - _LONGEST)
        try:
            trades = await record.forced_trades(wallet, ids, asked_since)
        except SonicError as failure:
            get_logger().warning("trades cannot be read", venue=venue, reason=failure.reason)
            if parts:
                self._unasked[feed] = parts
            if outcome.gone:
                self._unanswered[feed] = now
            return outcome
        if trades:
            lasts = trades if is_gone else ()
            outcome = await self._keep(step, feed, outcome, trades, lasts, parts)
        self._unasked.pop(feed, None)
        self._unanswered.pop(feed, None)
        return outcome

    def _with_unasked(
        self, feed: tuple[str, str], shrunk: Sequence[Shrunk], now: datetime
    ) -> Sequence[Shrunk]:
        if not self._unasked:
            return shrunk
        oldest = now - _ASKED_AGAIN_WITHIN
        kept = {
            key: [one for one in parts if one.found_time >= oldest]
            for key, parts in self._unasked.items()
        }
        self._unasked = {key: parts for key, parts in kept.items() if parts}
        return _merged(self._unasked.get(feed, ()), shrunk)

    async def _keep(
        self,
        step: Step,
        feed: tuple[str, str],
        outcome: WalletSync,
        trades: Sequence[ForcedTrade],
        lasts: Sequence[ForcedTrade],
        parts: Sequence[Shrunk],
    ) -> WalletSync:
        async with self._begin() as store:
            await store.enter(step, SyncResult)
            feeds: Mapping[tuple[str, str], int] = await store.wallets.feed_keys([feed])
            now = self._clock.now()
            ended: list[Happening] = []
            for key in feeds.values() if lasts else ():
                missed_once = await store.forced.missed_once(key)
                ended += await store.forced.end(key, ended_by(lasts, missed_once), now)
            if ended:
                await store.enrichment.bump_membership()
            over = {one.position_id for one in ended}
            taken = [one for one in _taken(parts, trades) if one.position_id not in over]
            if told := [*ended, *taken]:
                await store.events.append(told, [feed], step.cycle_id, now)
        return _with_ended(outcome, len(ended))


def _taken(parts: Sequence[Shrunk], trades: Sequence[ForcedTrade]) -> list[Happening]:
    """Each by the trades since it was seen last: older ones are told already."""
    return [
        found
        for one in parts
        for found in in_part(
            [one.happening],
            [trade for trade in trades if trade.trade_time >= one.since - APART],
        )
    ]


def _merged(kept: Sequence[Shrunk], shrunk: Sequence[Shrunk]) -> Sequence[Shrunk]:
    """Of what shrank again once: from the size before, since it was seen with that."""
    merged = {one.happening.position_id: one for one in kept}
    for one in shrunk:
        part, first = one.happening, merged.get(one.happening.position_id, one)
        sizes = (first.happening.size_before_usd, part.size_before_usd)
        before = max((size for size in sizes if size is not None), default=None)
        merged[part.position_id] = replace(
            one, happening=replace(part, size_before_usd=before), since=min(first.since, one.since)
        )
    return list(merged.values())


def _with_ended(outcome: WalletSync, count: int) -> WalletSync:
    """Ended is over: of those counted stale or closed a moment ago, none is stale any more."""
    return replace(
        outcome,
        stale_count=max(outcome.stale_count - count, 0),
        closed_count=max(outcome.closed_count, count),
        urgent=outcome.urgent or count > 0,
    )
