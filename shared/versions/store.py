"""Versions in and out; each kind of settings has a table of its own."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime

from sqlalchemy import BigInteger, Column, DateTime, MetaData, Table, Text, select
from sqlalchemy.dialects.postgresql import JSONB

from shared.database.keyset import apply
from shared.database.statement import Row, Statement
from shared.database.transaction import Transaction
from shared.paging import PageRequest
from shared.versions.domain import LEAST_KEPT, Content, Version


def declare_versions(metadata: MetaData, name: str) -> Table:
    """All settings of a kind after each change, numbered in order; `content`: their fields, by
    id.
    """
    return Table(
        name,
        metadata,
        Column("number", BigInteger, primary_key=True, autoincrement=False),
        Column("saved_time", DateTime(timezone=True), nullable=False),
        Column("actor", Text, nullable=False),
        Column("reason", Text, nullable=False),
        Column("content", JSONB, nullable=False),
    )


class VersionTable:
    """The statements for the versions of one kind."""

    def __init__(self, table: Table) -> None:
        self.table = table
        name = table.name
        # Under the lock of the edit: no two take the same number.
        self.append = Statement(
            f"insert into {name} (number, saved_time, actor, reason, content)"
            " select coalesce(max(number), 0) + 1, :now, :actor, :reason, cast(:content as jsonb)"
            f" from {name} returning number"
        )
        self.forget = Statement(
            f"delete from {name} where saved_time < :before"
            f" and number <= (select max(number) from {name}) - {LEAST_KEPT}"
        )
        self.last = Statement(f"select coalesce(max(number), 0) from {name}")
        self.one = Statement(f"select * from {name} where number = :number")


class VersionStore:
    """The versions of one kind, in a transaction."""

    def __init__(self, transaction: Transaction, versions: VersionTable) -> None:
        self._transaction = transaction
        self._versions = versions

    async def append(self, content: Content, actor: str, reason: str, now: datetime) -> int:
        """Keep these as the newest; its number."""
        text = json.dumps(content)
        number = await self._transaction.scalar(
            self._versions.append, now=now, actor=actor, reason=reason, content=text
        )
        return int(number)

    async def forget(self, before: datetime) -> None:
        """Older ones, but the newest LEAST_KEPT."""
        await self._transaction.execute(self._versions.forget, before=before)

    async def last_number(self) -> int:
        """0 before the first."""
        return int(await self._transaction.scalar(self._versions.last))

    async def get(self, number: int) -> Version | None:
        row = await self._transaction.first(self._versions.one, number=number)
        return None if row is None else _version(row)

    async def page(self, page: PageRequest) -> list[Version]:
        """Newest first, one more than the page holds."""
        table = self._versions.table
        query = apply(select(table), [(table.c.number, "desc")], page.after, page.size)
        found = await self._transaction.fetch(query)
        # Of 51 whole settings the texts are long.
        return await asyncio.to_thread(lambda: [_version(row) for row in found])


def _version(row: Row) -> Version:
    content = row["content"]
    known = json.loads(content) if isinstance(content, str) else content
    return Version(row["number"], row["saved_time"], row["actor"], row["reason"], known)
