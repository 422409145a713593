"""Rows of the chain, appended and read; the running role can do nothing else with them."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.alerts.ledger.domain import Anchor, Entry, Head, Sealed
from services.alerts.tables import anchor, ledger
from shared.database.engine import raw
from shared.database.keyset import apply
from shared.paging import PageRequest

_COLUMNS = ["sequence", *Entry._fields, "previous_hash", "hash"]
_HEAD = select(ledger.c.sequence, ledger.c.hash).order_by(ledger.c.sequence.desc()).limit(1)
_ANCHOR = text(
    "insert into anchor as known (id, sequence, hash) values (1, :sequence, :hash) on conflict"
    " (id) do update"
    " set sequence = excluded.sequence, hash = excluded.hash where known.sequence <"
    " excluded.sequence"
)
_WALK_ROWS = 5_000
_GONE = text(
    "select * from ledger as gone where reason = 'GONE' and entry_time > :after"
    " and subject = any(cast(:subjects as text[])) and not exists (select from ledger as back"
    "  where back.alert_id = gone.alert_id and back.reason = 'BACK') order by sequence"
)


class LedgerStore:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def head(self) -> Head:
        row = (await self._connection.execute(_HEAD)).one_or_none()
        return Head() if row is None else Head(row.sequence, bytes(row.hash))

    async def ends(self) -> list[Sealed]:
        """The first row and the last; empty before the first."""
        order = ledger.c.sequence
        rows = []
        for query in (
            select(ledger).order_by(order).limit(1),
            select(ledger).order_by(order.desc()).limit(1),
        ):
            rows += [_sealed(row) for row in await self._connection.execute(query)]
        return rows

    async def append(self, portions: AsyncIterable[Sequence[Sealed]]) -> None:
        """By COPY: a crash of the market writes tens of thousands at once."""

        async def records() -> AsyncIterator[tuple[object, ...]]:
            async for rows in portions:
                for row in rows:
                    yield (row.sequence, *row.entry, row.previous_hash, row.hash)

        driver = await raw(self._connection)
        await driver.copy_records_to_table("ledger", records=records(), columns=_COLUMNS)

    async def page(self, page: PageRequest, alert_id: str, cycle_id: str) -> list[Sealed]:
        """Newest first, one more than the page holds."""
        query = select(ledger)
        if alert_id:
            query = query.where(ledger.c.alert_id == alert_id)
        if cycle_id:
            query = query.where(ledger.c.cycle_id == cycle_id)
        query = apply(query, [(ledger.c.sequence, "desc")], page.after, page.size)
        return [_sealed(row) for row in await self._connection.execute(query)]

    async def ended_alerts(self, subjects: Sequence[str], after: datetime) -> list[Sealed]:
        """Rows since then by which one of these positions was notified to be gone,
        and not to be back."""
        annotations = {"subjects": list(subjects), "after": after}
        return [_sealed(row) for row in await self._connection.execute(_GONE, annotations)]

    async def names(self, alert_id: str) -> bool:
        """Whether any row is about this alert or price rule."""
        query = select(ledger.c.sequence).where(ledger.c.alert_id == alert_id).limit(1)
        return await self._connection.scalar(query) is not None

    async def walk(self, after_sequence: int = -(2**63)) -> AsyncIterator[list[Sealed]]:
        """Every row after one, in order, in portions."""
        # Keyed on more than the sequence would not help: two rows cannot share one.
        last = after_sequence
        while True:
            query = (
                select(ledger)
                .where(ledger.c.sequence > last)
                .order_by(ledger.c.sequence)
                .limit(_WALK_ROWS)
            )
            rows = [_sealed(row) for row in await self._connection.execute(query)]
            if not rows:
                return
            yield rows
            last = rows[-1].sequence

    async def anchor(self) -> Anchor | None:
        row = (await self._connection.execute(select(anchor))).one_or_none()
        return None if row is None else Anchor(bytes(row.hash), row.sequence)

    async def put_anchor(self, sequence: int, row_hash: bytes) -> None:
        await self._connection.execute(_ANCHOR, {"sequence": sequence, "hash": row_hash})


def _sealed(row: Row[Any]) -> Sealed:
    values = row._asdict()
    entry = Entry(**{name: values[name] for name in Entry._fields})
    return Sealed(row.sequence, entry, bytes(row.previous_hash), bytes(row.hash))
