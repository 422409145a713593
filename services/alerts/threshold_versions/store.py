"""Versions in and out."""

from __future__ import annotations

import json
from datetime import datetime

from sqlalchemy import select

from services.alerts.tables import threshold_set
from services.alerts.threshold_versions.domain import LEAST_KEPT, Content, Version
from shared.database.keyset import apply
from shared.database.statement import Row, Statement
from shared.database.transaction import Transaction
from shared.paging import PageRequest

# Under the lock of the edit: no two take the same number.
_APPEND = Statement(
    "insert into threshold_set (number, saved_time, actor, reason, content)"
    " select coalesce(max(number), 0) + 1, :now, :actor, :reason, cast(:content as jsonb)"
    " from threshold_set returning number"
)
_FORGET = Statement(
    "delete from threshold_set where saved_time < :before"
    f" and number <= (select max(number) from threshold_set) - {LEAST_KEPT}"
)
_LAST = Statement("select coalesce(max(number), 0) from threshold_set")
_ONE = Statement("select * from threshold_set where number = :number")


class VersionStore:
    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def append(self, content: Content, actor: str, reason: str, now: datetime) -> int:
        """Keep these as the newest; its number."""
        text = json.dumps(content)
        number = await self._transaction.scalar(
            _APPEND, now=now, actor=actor, reason=reason, content=text
        )
        return int(number)

    async def forget(self, before: datetime) -> None:
        """Older ones, but the newest LEAST_KEPT."""
        await self._transaction.execute(_FORGET, before=before)

    async def last_number(self) -> int:
        """0 before the first."""
        return int(await self._transaction.scalar(_LAST))

    async def get(self, number: int) -> Version | None:
        row = await self._transaction.first(_ONE, number=number)
        return None if row is None else _version(row)

    async def page(self, page: PageRequest) -> list[Version]:
        """Newest first, one more than the page holds."""
        query = apply(
            select(threshold_set), [(threshold_set.c.number, "desc")], page.after, page.size
        )
        return [_version(row) for row in await self._transaction.fetch(query)]


def _version(row: Row) -> Version:
    content = row["content"]
    known = json.loads(content) if isinstance(content, str) else content
    return Version(row["number"], row["saved_time"], row["actor"], row["reason"], known)
