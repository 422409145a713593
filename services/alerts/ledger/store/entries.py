"""Rows of the chain, read; store.commit appends, and the running role can do nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from sqlalchemy import ARRAY, BigInteger, any_, bindparam, cast, select

from services.alerts.ledger.domain.chain import Anchor, Entry, Head, Sealed
from services.alerts.tables import anchor, ledger
from shared import rows
from shared.database.keyset import apply
from shared.database.statement import Row, Statement
from shared.database.transaction import Transaction
from shared.paging import PageRequest

_ORDER = ledger.c.sequence
_FIRST = Statement(select(ledger).order_by(_ORDER).limit(1))
_LAST = Statement(select(ledger).order_by(_ORDER.desc()).limit(1))
_HEAD = Statement(select(_ORDER, ledger.c.hash).order_by(_ORDER.desc()).limit(1))
_NAMED = Statement(select(_ORDER).where(ledger.c.alert_id == bindparam("alert_id")).limit(1))
_WALK = Statement(select(ledger).where(bindparam("last") < _ORDER).order_by(_ORDER).limit(5_000))
_ANCHOR = Statement(select(anchor))
_PUT_ANCHOR = Statement(
    "insert into anchor as known (id, sequence, hash) values (1, :sequence, :hash)"
    " on conflict (id) do update set sequence = excluded.sequence, hash = excluded.hash"
    " where known.sequence < excluded.sequence"
)
_MEMBERS = Statement("select member_sequences from digest where ledger_sequence = :sequence")
# Digests of the same commits that told of some of these rows, each with one of them; over are those
# of which everything was GONE and is BACK, with these.
_DIGESTS_OF_GONE = Statement(
    "select digest.ledger_sequence, own.sequence, not exists (select from ledger as other"
    "  where other.sequence = any(digest.member_sequences)"
    "  and other.sequence <> all(cast(:sequences as int8[]))"
    "  and (other.reason <> 'GONE' or not exists (select from ledger as back"
    "   where back.alert_id = other.alert_id and back.reason = 'BACK'))) as is_over"
    " from digest join ledger as row on row.sequence = digest.ledger_sequence"
    " join unnest(cast(:sequences as int8[])) as own (sequence)"
    "  on own.sequence = any(digest.member_sequences)"
    " where row.reason = 'DIGEST' and row.entry_time = any(cast(:times as timestamptz[]))"
)
_GONE = Statement(
    "select * from ledger as gone where reason = 'GONE' and entry_time > :after"
    " and subject = any(cast(:subjects as text[])) and not exists (select from ledger as back"
    "  where back.alert_id = gone.alert_id and back.reason = 'BACK') order by sequence"
)
_ENDED = Statement(
    "select subject, max(entry_time) as end_time from ledger where entry_time >= :after"
    " and subject = any(cast(:subjects as text[])) and reason in ('DELETED', 'GONE', 'LIQUIDATED')"
    " group by subject"
)
_BACK = Statement(
    "select subject, max(entry_time) as back_time from ledger where entry_time >= :after"
    " and subject = any(cast(:subjects as text[])) and reason = 'BACK' group by subject"
)


class LedgerStore:
    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def head(self) -> Head:
        row = await self._transaction.first(_HEAD)
        return Head() if row is None else rows.read(Head, row)

    async def ends(self) -> list[Sealed]:
        """The first row and the last; empty before the first."""
        found = [await self._transaction.first(query) for query in (_FIRST, _LAST)]
        return [sealed_row(row) for row in found if row is not None]

    async def members(self, digest_sequence: int) -> list[int] | None:
        """Rows that a digest told of; None when there is no such digest."""
        found: list[int] | None = await self._transaction.scalar(_MEMBERS, sequence=digest_sequence)
        return found

    async def page(
        self, page: PageRequest, alert_id: str, cycle_id: str, sequences: Sequence[int] | None
    ) -> list[Sealed]:
        """Newest first, one more than the page holds; None: of all."""
        query = select(ledger)
        if alert_id:
            query = query.where(ledger.c.alert_id == alert_id)
        if cycle_id:
            query = query.where(ledger.c.cycle_id == cycle_id)
        if sequences is not None:
            query = query.where(any_(cast(list(sequences), ARRAY(BigInteger))) == _ORDER)
        query = apply(query, [(_ORDER, "desc")], page.after, page.size)
        return [sealed_row(row) for row in await self._transaction.fetch(query)]

    async def rows(self, sequences: Sequence[int]) -> list[Sealed]:
        """Those of these rows that are in the database, in no order."""
        query = select(ledger).where(any_(cast(list(sequences), ARRAY(BigInteger))) == _ORDER)
        return [sealed_row(row) for row in await self._transaction.fetch(query)]

    async def gone(self, subjects: Sequence[str], after: datetime) -> list[Sealed]:
        """Rows since then by which one of these positions was GONE, and is not BACK since."""
        found = await self._transaction.fetch(_GONE, subjects=list(subjects), after=after)
        return [sealed_row(row) for row in found]

    async def ended(self, subjects: Sequence[str], after: datetime) -> dict[str, datetime]:
        """When alerts of these positions ended last, of those of which one did since then."""
        if not subjects:
            return {}
        found = await self._transaction.fetch(_ENDED, subjects=list(subjects), after=after)
        return {row["subject"]: row["end_time"] for row in found}

    async def back(self, subjects: Sequence[str], after: datetime) -> dict[str, datetime]:
        """When people heard last that these positions are BACK, of those of which since then."""
        found = await self._transaction.fetch(_BACK, subjects=list(subjects), after=after)
        return {row["subject"]: row["back_time"] for row in found}

    async def digests_of_gone(self, gone: Sequence[Sealed]) -> list[tuple[int, int, bool]]:
        """Digests that told of these rows, with the row each, and whether they are over when all of
        these are BACK.
        """
        found = await self._transaction.fetch(
            _DIGESTS_OF_GONE,
            sequences=[row.sequence for row in gone],
            times=[row.entry.entry_time for row in gone],
        )
        return [(row["ledger_sequence"], row["sequence"], row["is_over"]) for row in found]

    async def names(self, alert_id: str) -> bool:
        """Whether any row is about this alert or price rule."""
        return await self._transaction.first(_NAMED, alert_id=alert_id) is not None

    async def walk(self, after_sequence: int = -(2**63)) -> AsyncIterator[list[Sealed]]:
        """Every row after one, in order, in portions."""
        last = after_sequence
        while portion := [
            sealed_row(row) for row in await self._transaction.fetch(_WALK, last=last)
        ]:
            yield portion
            last = portion[-1].sequence

    async def anchor(self) -> Anchor | None:
        row = await self._transaction.first(_ANCHOR)
        return None if row is None else rows.read(Anchor, row)

    async def put_anchor(self, sequence: int, row_hash: bytes) -> None:
        await self._transaction.execute(_PUT_ANCHOR, sequence=sequence, hash=row_hash)


def sealed_row(row: Row) -> Sealed:
    return rows.read(Sealed, row, entry=rows.read(Entry, row))
