"""A ledger with a past, and the ways to look at it and at the files that it leaves."""

from __future__ import annotations

import gzip
from datetime import datetime, timedelta
from pathlib import Path

import asyncpg
from sonic.alerts.v1 import alerts_pb2 as pb

from services.alerts.ledger.domain.chain import RECORD, Entry, Head, links
from services.alerts.ledger.store.key import KeyFile
from tests.contract.alerts.conftest import START, Servers

EIGHT_DAYS = timedelta(days=8)


def entry_of(number: int, time: datetime) -> Entry:
    """A change of a level, as rows were before inputs were packed."""
    inputs = f'{{"source": "positions", "number": "{number}"}}'
    return Entry(
        time, f"alert-{number % 7}", 3, "evaluation", "RAISED", 1, 4, -55.5 - number, None, inputs,
        f"cycle-{number // 10}", f"position-{number}",
    )  # fmt: skip


async def past(servers: Servers, count: int, *, days: float = 20.0) -> None:
    """So many rows of the ledger, the first so many days old and the last of now; before alerts is
    started.
    """
    key = KeyFile(servers.home).make()
    step = timedelta(days=days) / max(count - 1, 1)
    first = START - timedelta(days=days)
    entries = (entry_of(number, first + step * number) for number in range(count))
    records = [
        (row.sequence, *_ordered(row.entry), row.previous_hash, row.hash)
        for row, _ in links(key, Head(), entries)
    ]
    owner = await asyncpg.connect(servers.databases.owner_url("alerts"))
    try:
        await owner.copy_records_to_table("ledger", records=records, columns=list(RECORD))
    finally:
        await owner.close()


def _ordered(entry: Entry) -> list[object]:
    return [getattr(entry, name) for name in RECORD if hasattr(entry, name)]


async def start(servers: Servers, name: str = "alerts", **settings: object) -> None:
    """With a folder for sealed files beside the key."""
    folder = {"alerts_ledger_folder": servers.home / "ledger"}
    await servers.start_alerts(name, **{**folder, **settings})  # type: ignore[arg-type]


async def sealed(
    servers: Servers, older_than: timedelta | None = EIGHT_DAYS
) -> pb.SealLedgerResponse:
    request = pb.SealLedgerRequest()
    if older_than is not None:
        request.older_than.FromTimedelta(older_than)
    return await servers.ledger.SealLedger(request, timeout=60)


async def verified(servers: Servers, **wanted: object) -> pb.VerifyLedgerResponse:
    return await servers.ledger.VerifyLedger(pb.VerifyLedgerRequest(**wanted), timeout=60)


async def age(servers: Servers) -> pb.LedgerAge:
    return await servers.ledger.GetLedgerAge(pb.GetLedgerAgeRequest())


async def as_owner(servers: Servers, *statements: str) -> None:
    """What somebody with every right does."""
    owner = await asyncpg.connect(servers.databases.owner_url("alerts"))
    try:
        for statement in statements:
            await owner.execute(statement)
    finally:
        await owner.close()


async def sequences(servers: Servers) -> list[int]:
    """Of the rows in the database."""
    owner = await asyncpg.connect(servers.databases.owner_url("alerts"))
    try:
        return [row[0] for row in await owner.fetch("select sequence from ledger order by 1")]
    finally:
        await owner.close()


def files(servers: Servers, pattern: str = "ledger-*.jsonl.gz") -> list[Path]:
    return sorted((servers.home / "ledger").glob(pattern))


def content(path: Path) -> list[bytes]:
    return gzip.decompress(path.read_bytes()).splitlines(keepends=True)


def rewrite(path: Path, lines: list[bytes]) -> None:
    """By somebody who can write the file and has no key."""
    path.write_bytes(gzip.compress(b"".join(lines)))


async def segments(servers: Servers) -> list[pb.Segment]:
    """Newest first."""
    listed = await servers.ledger.ListSegments(pb.ListSegmentsRequest())
    return list(listed.segments)
