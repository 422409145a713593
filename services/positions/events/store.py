"""The one place that writes and reads events: numbered in the order of their commits."""

from collections.abc import Sequence
from datetime import datetime
from itertools import repeat
from typing import Any, Final

from sqlalchemy import ARRAY, Column, ColumnElement, any_, cast, select

from services.positions.sync.domain.events import Happening, PositionEvent
from services.positions.tables import position_event
from shared import rows
from shared.database.keyset import Ordering, apply
from shared.database.statement import Statement
from shared.database.transaction import Transaction
from shared.paging import PageRequest

_TYPES: Final = {
    "kind": "int2",
    "position_id": "text",
    "wallet": "text",
    "venue": "text",
    "asset": "text",
    "side": "int2",
    "size_before_usd": "float8",
    "size_after_usd": "float8",
    "position_count": "int",
}
_COLUMNS: Final = ("sequence", "event_time", "cycle_id", *_TYPES)
# The state row is locked until commit: who reads up to a number has read all before it.
_NUMBER = (
    "update service_state set event_sequence = event_sequence + :count"
    " returning event_sequence - :count as last"
)
_NUMBER_MANY = Statement(_NUMBER)
_APPEND = Statement(
    f"with moved as ({_NUMBER}) insert into position_event ({', '.join(_COLUMNS)})"
    f" select moved.last + new.nth, :now, :cycle_id, {', '.join(f'new.{name}' for name in _TYPES)}"
    f" from moved, unnest({', '.join(f'cast(:{name} as {of}[])' for name, of in _TYPES.items())})"
    f" with ordinality as new ({', '.join(_TYPES)}, nth)"
)
# More go by COPY, which asks for the table's types first.
_BULK_COUNT: Final = 2000
_UNREAD_FEEDS = Statement(
    "select feed_key from feed f join wallet w using (wallet_key)"
    " where feed_key = any(:feed_keys) and (observed_time is null or last_sync_time is null"
    " and not exists (select from position p where p.feed_key = f.feed_key))"
)
# Once since it was seen last, and once in a while: it may be shown and lost again and again.
_UNTOLD_DELISTINGS = Statement(
    "select p.position_key, p.id from position p where p.position_key = any(:keys)"
    " and not exists (select from position_event e where e.kind = 9 and e.position_id = p.id"
    " and e.event_time >"
    " case when p.in_last_answer then :since else least(p.last_seen_time, :since) end)"
)


class EventStore:
    """Events of one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def append(
        self,
        happenings: Sequence[Happening],
        answers: Sequence[tuple[str, str]],
        cycle_id: str,
        now: datetime,
    ) -> None:
        """Number and keep these; `answers`: wallet and venue, by place."""
        columns: dict[str, list[object]] = {
            "kind": [one.kind for one in happenings],
            "position_id": [one.position_id for one in happenings],
            "wallet": [answers[one.place][0] for one in happenings],
            "venue": [answers[one.place][1] for one in happenings],
            "asset": [one.asset for one in happenings],
            "side": [one.side for one in happenings],
            "size_before_usd": [one.size_before_usd for one in happenings],
            "size_after_usd": [one.size_after_usd for one in happenings],
            "position_count": [one.position_count for one in happenings],
        }
        count = len(happenings)
        if count <= _BULK_COUNT:
            await self._transaction.execute(
                _APPEND, count=count, now=now, cycle_id=cycle_id, **columns
            )
            return
        first = 1 + await self._transaction.scalar(_NUMBER_MANY, count=count)
        numbers = range(first, first + count)
        records = zip(numbers, repeat(now), repeat(cycle_id), *columns.values(), strict=False)
        await self._transaction.driver.copy_records_to_table(
            "position_event", records=records, columns=_COLUMNS
        )

    async def unread_feeds(self, feed_keys: Sequence[int]) -> set[int]:
        """Those of these feeds of which nothing is known: they never answered, or never a row that
        could be taken.
        """
        found = await self._transaction.fetch(_UNREAD_FEEDS, feed_keys=feed_keys)
        return {row["feed_key"] for row in found}

    async def untold_delistings(
        self, position_keys: Sequence[int], since: datetime
    ) -> dict[int, str]:
        """Text ids of those of these positions of which it was told neither since they were seen
        last nor after `since` that they are listed no more.
        """
        found = await self._transaction.fetch(_UNTOLD_DELISTINGS, keys=position_keys, since=since)
        return {row["position_key"]: row["id"] for row in found}

    async def page(
        self,
        page: PageRequest,
        after_sequence: int | None,
        position_ids: Sequence[str],
        kinds: Sequence[int],
    ) -> list[PositionEvent]:
        """Newest first; after a sequence the oldest first. One more than the page holds. No ids,
        no kinds: of all.
        """
        query = select(position_event)
        if position_ids:
            query = query.where(_is_one_of(position_event.c.position_id, position_ids))
        if kinds:
            query = query.where(_is_one_of(position_event.c.kind, kinds))
        if after_sequence is not None:
            query = query.where(position_event.c.sequence > after_sequence)
        number = position_event.c.sequence
        order: Ordering = [(number, "desc") if after_sequence is None else (number, "asc")]
        found = await self._transaction.fetch(apply(query, order, page.after, page.size))
        return [rows.read(PositionEvent, row) for row in found]


def _is_one_of(column: Column[Any], values: Sequence[object]) -> ColumnElement[bool]:
    return any_(cast(list(values), ARRAY(column.type))) == column
