"""Recordings in and out, and those that are past their time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from services.alerts.tables import recording
from shared import rows
from shared.database.keyset import apply
from shared.database.statement import Row, Statement
from shared.database.transaction import Transaction
from shared.paging import PageRequest

_BEGIN = Statement(
    "insert into recording_base (content, size_bytes) values (:content, :size_bytes)"
    " returning base_key"
)
# Nothing when the base is gone: it was past its time, or everything was deleted.
_APPEND = Statement(
    "insert into recording (base_key, cycle_id, recorded_time, alert_count, position_count,"
    " change_count, notified_count, content, size_bytes)"
    " select base_key, :cycle_id, :recorded_time, :alert_count, :position_count,"
    " :change_count, :notified_count, :content, :size_bytes"
    " from recording_base where base_key = :base_key returning recording_key"
)
_UNHURRIED = Statement("select set_config('synchronous_commit', 'off', true)")
_FORGET = Statement("delete from recording where recorded_time < :before")
# With its base all that is written against it; the newest base stays, it is being written to.
_TRIM = Statement(
    "with grouped as (select base.base_key, base.size_bytes + coalesce(sum(one.size_bytes), 0)"
    "  as size_bytes, count(one.recording_key) as recording_count"
    "  from recording_base as base left join recording as one using (base_key)"
    "  group by base.base_key, base.size_bytes),"
    " summed as (select base_key, recording_count, sum(size_bytes) over (order by base_key desc)"
    "  as total_bytes, row_number() over (order by base_key desc) as place from grouped)"
    " delete from recording_base using summed where recording_base.base_key = summed.base_key"
    " and summed.place > 1 and (summed.recording_count = 0 or summed.total_bytes > :most_bytes)"
)
_CLEAR = Statement("delete from recording_base")
_BASE = Statement("select content from recording_base where base_key = :base_key")
_OF_CYCLE = Statement(
    "select recording_key, base_key, content from recording where cycle_id = :cycle_id"
    " order by recording_key"
)
_BETWEEN = Statement(
    "select recording_key, base_key, content from recording where recording_key > :after"
    " and recorded_time >= :start_time and recorded_time <= :end_time"
    " order by recording_key limit :most"
)
_EXTENT = Statement(
    "select count(*) as recording_count, coalesce(sum(alert_count), 0)::int8 as alert_count"
    " from recording where recorded_time >= :start_time and recorded_time <= :end_time"
)
_KEPT = Statement(
    "select (select min(recorded_time) from recording) as first_time,"
    " (select count(*) from recording) as recording_count,"
    " ((select coalesce(sum(size_bytes), 0) from recording)"
    "  + (select coalesce(sum(size_bytes), 0) from recording_base))::int8 as size_bytes"
)
_LISTED = (
    recording.c.recording_key,
    recording.c.cycle_id,
    recording.c.recorded_time,
    recording.c.alert_count,
    recording.c.position_count,
    recording.c.change_count,
    recording.c.notified_count,
    recording.c.size_bytes,
)


@dataclass(frozen=True, slots=True)
class About:
    """What is listed of a recording."""

    recording_key: int
    cycle_id: str
    recorded_time: datetime
    alert_count: int
    position_count: int
    change_count: int
    notified_count: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Packed:
    """A recording as it is stored."""

    recording_key: int
    base_key: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Extent:
    """How much there is to judge again; alerts counted in each recording."""

    recording_count: int
    alert_count: int


@dataclass(frozen=True, slots=True)
class KeptRecordings:
    """All that is kept; None: nothing is."""

    first_time: datetime | None
    recording_count: int
    size_bytes: int


class RecordingStore:
    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def begin(self, content: bytes) -> int:
        """The key of a base that recordings can be written against."""
        values = {"content": content, "size_bytes": len(content)}
        return int(await self._transaction.scalar(_BEGIN, **values))

    async def append(self, about: About, base_key: int, content: bytes) -> bool:
        """Whether its base is still there. Nobody waits for the disk."""
        await self._transaction.execute(_UNHURRIED)
        values = {name: getattr(about, name) for name in About.__slots__ if name != "recording_key"}
        key = await self._transaction.scalar(_APPEND, base_key=base_key, content=content, **values)
        return key is not None

    async def forget(self, before: datetime, most_bytes: int) -> None:
        """Those before a moment, and the oldest as long as all are more than so many bytes."""
        await self._transaction.execute(_FORGET, before=before)
        await self._transaction.execute(_TRIM, most_bytes=most_bytes)

    async def clear(self) -> None:
        await self._transaction.execute(_CLEAR)

    async def base(self, base_key: int) -> bytes | None:
        found: bytes | None = await self._transaction.scalar(_BASE, base_key=base_key)
        return found

    async def of_cycle(self, cycle_id: str) -> list[Packed]:
        return _packed(await self._transaction.fetch(_OF_CYCLE, cycle_id=cycle_id))

    async def between(
        self, start_time: datetime, end_time: datetime, after: int, most: int
    ) -> list[Packed]:
        """In order, both ends among them; those after a key."""
        span = {"start_time": start_time, "end_time": end_time}
        return _packed(await self._transaction.fetch(_BETWEEN, **span, after=after, most=most))

    async def extent(self, start_time: datetime, end_time: datetime) -> Extent:
        span = {"start_time": start_time, "end_time": end_time}
        (row,) = await self._transaction.fetch(_EXTENT, **span)
        return rows.read(Extent, row)

    async def kept(self) -> KeptRecordings:
        (row,) = await self._transaction.fetch(_KEPT)
        return rows.read(KeptRecordings, row)

    async def page(self, page: PageRequest) -> list[About]:
        """Newest first, one more than the page holds."""
        query = apply(
            select(*_LISTED), [(recording.c.recording_key, "desc")], page.after, page.size
        )
        return [rows.read(About, row) for row in await self._transaction.fetch(query)]


def _packed(found: Sequence[Row]) -> list[Packed]:
    return [rows.read(Packed, row) for row in found]
