"""Rows that say what is sealed, and the deletion of what is: by the owner's function alone, which
wants a proof.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, bindparam, select

from services.alerts.ledger.domain.chain import SEALED, Sealed
from services.alerts.ledger.domain.segments import Seal
from services.alerts.ledger.store.entries import sealed_row
from services.alerts.tables import ledger
from shared.database.statement import Statement
from shared.database.transaction import Transaction

_ORDER = ledger.c.sequence
_SEALS = select(ledger).where(ledger.c.reason == SEALED)
_LAST = Statement(_SEALS.order_by(_ORDER.desc()).limit(1))
_LAST_FEW = Statement(
    "select * from ledger where reason = 'SEALED' and sequence > :after"
    " order by sequence desc limit :count"
)
_BEFORE = Statement(
    "select * from ledger where reason = 'SEALED' and sequence < :before"
    " order by sequence desc limit :count"
)
_ALL = Statement(_SEALS.order_by(_ORDER))
_COUNT = Statement("select count(*) from ledger where reason = 'SEALED'")
_PORTION = Statement(
    select(ledger)
    .where(bindparam("first", type_=BigInteger) <= _ORDER)
    .order_by(_ORDER)
    .limit(bindparam("count", type_=BigInteger))
)
# The first row that could leave yet, and the moment of another.
_FIRST = Statement("select min(sequence) from ledger where reason <> 'SEALED'")
_TIME = Statement("select entry_time from ledger where sequence = :sequence")
# What waits to be told, or was told lately: more is read of it.
_TOLD = Statement(
    "select min(ledger_sequence) from outbox where sent_time is null or sent_time >= :after"
)
_ADMIT = Statement("select admit_cuts(cast(:inner as bytea), cast(:outer as bytea))")
_CUT = Statement(
    "select cut_ledger(cast(:seal as int8), cast(:seal_hash as bytea), cast(:first as int8),"
    " cast(:last as int8), cast(:last_hash as bytea), cast(:proof as bytea), cast(:most as int4))"
)


class SealStore:
    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def last(self) -> Sealed | None:
        """The row of the last seal."""
        row = await self._transaction.first(_LAST)
        return None if row is None else sealed_row(row)

    async def last_few(self, count: int, after_sequence: int = 0) -> list[Sealed]:
        """Rows of seals after one, newest first."""
        found = await self._transaction.fetch(_LAST_FEW, count=count, after=after_sequence)
        return [sealed_row(row) for row in found]

    async def before(self, sequence: int, count: int) -> list[Sealed]:
        """Rows of seals before one, newest first."""
        found = await self._transaction.fetch(_BEFORE, count=count, before=sequence)
        return [sealed_row(row) for row in found]

    async def all(self) -> list[Sealed]:
        """Rows of seals, oldest first; one a file."""
        return [sealed_row(row) for row in await self._transaction.fetch(_ALL)]

    async def count(self) -> int:
        """How many there are."""
        found: int = await self._transaction.scalar(_COUNT)
        return found

    async def portion(self, first_sequence: int, count: int) -> list[Sealed]:
        """Rows from there on, in order."""
        found = await self._transaction.fetch(_PORTION, first=first_sequence, count=count)
        return [sealed_row(row) for row in found]

    async def first_sequence(self) -> int | None:
        """Of the first row that is no seal."""
        found: int | None = await self._transaction.scalar(_FIRST)
        return found

    async def time(self, sequence: int) -> datetime | None:
        """When a row was written; None when it is not there."""
        found: datetime | None = await self._transaction.scalar(_TIME, sequence=sequence)
        return found

    async def first_told(self, after: datetime) -> int | None:
        """The first row that waits to be told, or was told since then."""
        found: int | None = await self._transaction.scalar(_TOLD, after=after)
        return found

    async def admit(self, pads: tuple[bytes, bytes]) -> bool:
        """Whether proofs of this key count: the first key that asks is the one."""
        return bool(await self._transaction.scalar(_ADMIT, inner=pads[0], outer=pads[1]))

    async def cut(self, seal: Seal, proof: bytes, most: int) -> int:
        """Delete the first rows of a segment that are still there, at most so many; how many."""
        segment = seal.segment
        gone: int = await self._transaction.scalar(
            _CUT,
            seal=seal.sequence,
            seal_hash=seal.row.hash,
            first=segment.first_sequence,
            last=segment.last_sequence,
            last_hash=segment.last_hash,
            proof=proof,
            most=most,
        )
        return gone
