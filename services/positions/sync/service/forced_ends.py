"""Asks a venue about positions that are gone or shrank: whether it took them itself. Nobody is
asked while nothing is gone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from services.positions.domain.venue_answer import ForcedTrade, WalletRef
from services.positions.service.ports import Begin
from services.positions.sync.domain.events import Happening, in_part
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
# A venue's clock and ours.
_APART: Final = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Shrunk:
    """Positions that are smaller than in the answer of this time, None = never."""

    happenings: Sequence[Happening] = ()
    since: datetime | None = None


NOTHING_SHRANK: Final = Shrunk()


class ForcedEnds:
    """Use case of one wallet at one venue, after its answer was stored."""

    def __init__(self, begin: Begin, read: Begin, clock: Clock) -> None:
        self._begin = begin
        self._read = read
        self._clock = clock

    async def confirm(
        self,
        step: Step,
        wallet: WalletRef,
        venue: str,
        record: TradeRecord,
        outcome: WalletSync,
        shrunk: Shrunk,
    ) -> WalletSync:
        """End those that the venue says it ended, and tell of what it took in part; the others age
        as all do. Trades that cannot be read are asked for again while something is missing.
        """
        now = self._clock.now()
        parts = shrunk if record.forces_parts else NOTHING_SHRANK
        ids, since = [one.position_id for one in parts.happenings], parts.since
        if outcome.gone:
            async with self._read() as store:
                gone, lost = await store.forced.gone(wallet.name, venue, now - _CLOSED_WITHIN)
            ids, since = [*ids, *gone], min(filter(None, (since, lost)), default=None)
        if not ids or since is None:
            return outcome
        asked_since = max(since - _APART, now - _LONGEST)
        try:
            trades = await record.forced_trades(wallet, ids, asked_since)
        except SonicError as failure:
            get_logger().warning("trades cannot be read", venue=venue, reason=failure.reason)
            return outcome
        if not trades:
            return outcome
        taken = in_part(parts.happenings, _after(trades, parts.since))
        return await self._keep(step, wallet.name, venue, outcome, trades, taken)

    async def _keep(
        self,
        step: Step,
        wallet: str,
        venue: str,
        outcome: WalletSync,
        trades: Sequence[ForcedTrade],
        taken: Sequence[Happening],
    ) -> WalletSync:
        lasts = [one for one in trades if one.is_last] if outcome.gone else []
        async with self._begin() as store:
            await store.enter(step, SyncResult)
            feeds: Mapping[tuple[str, str], int] = await store.wallets.feed_keys([(wallet, venue)])
            now = self._clock.now()
            ended = [
                one for key in feeds.values() for one in await store.forced.end(key, lasts, now)
            ]
            if ended:
                await store.enrichment.bump_membership()
            if told := [*ended, *taken]:
                await store.events.append(told, [(wallet, venue)], step.cycle_id, now)
        return _with_ended(outcome, len(ended))


def _after(trades: Sequence[ForcedTrade], since: datetime | None) -> list[ForcedTrade]:
    return [one for one in trades if since is not None and one.trade_time >= since - _APART]


def _with_ended(outcome: WalletSync, count: int) -> WalletSync:
    """Ended is over: of those counted stale or closed a moment ago, none is stale any more."""
    return replace(
        outcome,
        stale_count=max(outcome.stale_count - count, 0),
        closed_count=max(outcome.closed_count, count),
        urgent=outcome.urgent or count > 0,
    )
