"""Positions that are gone, and those of them that their venue ended by itself."""

from collections.abc import Sequence
from datetime import datetime

from services.positions.domain.venue_answer import ForcedKind, ForcedTrade
from services.positions.sync.domain.events import EventKind, Happening, LastHeld, known
from shared import rows
from shared.database.statement import Statement
from shared.database.transaction import Transaction

# A venue shows a position for a while after it is gone, and clocks differ.
_TOLERANCE = "interval '10 minutes'"
# Nobody has looked at one whose row was refused or whose part was not read: only an answer that
# was to hold it, and did not, has left an absence.
_MISSED = (
    " (p.status = 3 or p.status in (1, 2)"
    " and exists (select from absence a where a.position_key = p.position_key))"
)
# Auto-deleveraged (2) is closed, and told once; a one-way venue's id may have its side at the end.
_END = Statement(
    "with ended as (update position p set status = case when trade.kind = 2 then 3 else 4 end,"
    " updated_time = :now from unnest(cast(:ids as text[]), cast(:times as timestamptz[]),"
    " cast(:sides as int2[]), cast(:kinds as int2[])) as trade (id, trade_time, side, kind)"
    " where p.id in (trade.id, trade.id || case trade.side when 1 then '-long'"
    " when 2 then '-short' else '' end) and trade.side in (p.side, 3)"
    f" and p.feed_key = :feed_key and not p.in_last_answer and{_MISSED}"
    f" and trade.trade_time >= p.last_seen_time - {_TOLERANCE}"
    # One that is told as taken in part has a size after it, and the end is still to be told.
    " and (trade.kind = 1 or not exists (select from position_event e where e.kind = 8"
    " and e.size_after_usd is null and e.position_id = p.id"
    " and e.event_time >= p.last_seen_time))"
    " returning p.position_key, p.id, p.asset_key, p.side, p.size_usd, trade.kind), forgotten as"
    " (delete from absence where position_key in (select position_key from ended))"
    " select ended.id, name, side, size_usd, kind from ended join asset using (asset_key)"
    " order by position_key"
)
_GONE = Statement(
    f"select array_agg(p.id) as ids, min(p.last_seen_time) - {_TOLERANCE} as since"
    " from position p join feed using (feed_key) join wallet w using (wallet_key)"
    " where w.name = :wallet and venue = :venue and not in_last_answer"
    f" and{_MISSED} and (p.status <> 3 or p.updated_time >= :closed_since)"
)
_SEEN = Statement(
    "select p.id, case when p.in_last_answer then f.observed_time else p.last_seen_time end"
    " as seen_time from position p join feed f using (feed_key) where p.id = any(:ids)"
)
_MISSED_ONCE = Statement(
    "select p.id, size_usd / entry_price_usd as units, last_seen_time as seen_time"
    " from position p where p.feed_key = :feed_key and p.status in (1, 2) and not in_last_answer"
    " and size_usd > 0 and entry_price_usd > 0 and last_seen_time is not null"
)
_KINDS = {
    ForcedKind.LIQUIDATED: EventKind.LIQUIDATED,
    ForcedKind.AUTO_DELEVERAGED: EventKind.AUTO_DELEVERAGED,
}


class ForcedStore:
    """Ends of positions in one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def gone(
        self, wallet: str, venue: str, closed_since: datetime
    ) -> tuple[Sequence[str], datetime | None]:
        """Ids of what an answer was to hold and did not, of closed ones those that were held until
        then; and from when on a trade may have ended one of them.
        """
        (row,) = await self._transaction.fetch(
            _GONE, wallet=wallet, venue=venue, closed_since=closed_since
        )
        return row["ids"] or [], row["since"]

    async def seen_times(self, position_ids: Sequence[str]) -> dict[str, datetime | None]:
        """When each of these was seen last, which may be long before its feed's last answer."""
        found = await self._transaction.fetch(_SEEN, ids=position_ids)
        return {row["id"]: row["seen_time"] for row in found}

    async def missed_once(self, feed_key: int) -> dict[str, LastHeld]:
        """By id, what a feed's last answer lacked and that is not over; one that was never held, or
        of no size, can be told by nothing.
        """
        found = await self._transaction.fetch(_MISSED_ONCE, feed_key=feed_key)
        return {row["id"]: rows.read(LastHeld, row) for row in found}

    async def end(
        self, feed_key: int, trades: Sequence[ForcedTrade], now: datetime
    ) -> list[Happening]:
        """End those of a feed that are gone from its last answer and whose last trade, one of
        these, is no older than the answer that held them last; which were.
        """
        found = await self._transaction.fetch(
            _END,
            feed_key=feed_key,
            ids=[one.position_id for one in trades],
            times=[one.trade_time for one in trades],
            sides=[int(one.side) for one in trades],
            kinds=[int(one.kind) for one in trades],
            now=now,
        )
        return [
            Happening(
                0, _KINDS[row["kind"]], row["id"], row["name"], row["side"], known(row["size_usd"])
            )
            for row in found
        ]
