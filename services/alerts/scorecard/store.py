"""Rows of the ledger that incidents are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from services.alerts.ledger.domain.chain import Entry, Sealed
from shared import rows
from shared.database.statement import Row, Statement
from shared.database.transaction import Transaction

_ROWS = Statement(
    "select * from ledger where entry_time >= :since and alert_id <> ''"
    " and (level_before <> level_after or reason in ('TOLD', 'EXPIRED', 'ACKNOWLEDGED',"
    " 'LIQUIDATED', 'LIQUIDATED_IN_PART', 'AUTO_DELEVERAGED', 'GONE', 'BACK'))"
    " order by sequence desc limit :most"
)
_DIGESTS = Statement(
    "select member, ledger_sequence from digest, unnest(member_sequences) as member"
    " where member = any(cast(:sequences as int8[]))"
)


class ScorecardStore:
    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def rows(self, since: datetime, most: int) -> list[Row]:
        """The newest so many since then, in order; see `sealed`."""
        return list(reversed(await self._transaction.fetch(_ROWS, since=since, most=most)))

    async def digests(self, sequences: Sequence[int]) -> Mapping[int, int]:
        """The digest, by its row of the ledger, that told of each of these that one told of."""
        found = await self._transaction.fetch(_DIGESTS, sequences=list(sequences))
        return {row["member"]: row["ledger_sequence"] for row in found}


def sealed(found: Sequence[Row]) -> list[Sealed]:
    """Those rows; of very many it takes long enough for a thread of its own."""
    return [rows.read(Sealed, row, entry=rows.read(Entry, row)) for row in found]
