"""Restoring a backup into a home, or a database, that holds nothing yet."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.alerts.v1 import alerts_pb2_grpc as rpc

from services.cli import database, privacy, system
from services.cli.backup.archive import DUMP, HOME, Manifest, unpack
from services.cli.backup.programs import run
from services.cli.backup.take import LEDGER_FOLDER, LEDGER_KEY, SCHEMAS, counted
from services.cli.connection import connected
from services.cli.plan import Plan
from shared import log, tokens
from shared.database.address import plain
from shared.database.roles import initialise
from shared.errors import FailedPrecondition, SonicError
from shared.postgres import EmbeddedPostgres

Say = Callable[[str], None]
# What of a home is its data: moved aside, or refused, when a backup is to take its place.
_DATA = ("postgres", LEDGER_FOLDER, LEDGER_KEY, tokens.FILE_NAME)
_VERIFY_SECONDS = 600.0
_TABLES = """
select n.nspname || '.' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p') and n.nspname = any($1::text[]) order by 1 limit 1
"""


@dataclass(frozen=True, slots=True)
class Restored:
    """What came of it. `ledger_problem` is empty when every row fits up to the backup's head;
    `set_aside`: where what was there before lies now.
    """

    manifest: Manifest
    rows: Mapping[str, int]
    ledger_problem: str
    ledger_row_count: int
    set_aside: Path | None


async def fill_from(plan: Plan, file: Path, say: Say, *, replace: bool) -> Restored:
    """Into the home's embedded PostgreSQL, or the database of DATABASE_URL. Raises
    FailedPrecondition BACKUP_DAMAGED, BACKUP_UNREADABLE, HOME_NOT_EMPTY, DATABASE_NOT_EMPTY,
    HOME_IN_USE; what was there stays as it was, then.
    """
    privacy.make(plan.home)
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix=".restore-", dir=plan.home))
    try:
        say("reading the backup")
        # Of the servers that help only what is wrong is said.
        log.configure("sonic", "ERROR", json=False)
        manifest = await asyncio.to_thread(unpack, file, folder)
        embedded = not (plan.database_url or database.given("DATABASE_URL"))
        set_aside = await _made_room(plan.home, embedded=embedded, replace=replace)
        await asyncio.to_thread(_place, folder / HOME, plan.home)
        async with database.opened(plan) as opened:
            await _fill(opened.url, folder / DUMP, list(manifest.revisions), say)
            say("bringing its tables up to date")
            urls = await database.prepare(opened, plan.home)
            rows = await _counted(opened.url)
            say("verifying the ledger")
            problem, row_count = await _verified(plan, urls, manifest)
        return Restored(manifest, rows, problem, row_count, set_aside)
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


async def _counted(url: str) -> dict[str, int]:
    connection = await asyncpg.connect(plain(url), timeout=10)
    try:
        return await counted(connection)
    finally:
        await connection.close(timeout=5)


async def _made_room(home: Path, *, embedded: bool, replace: bool) -> Path | None:
    there = [name for name in _DATA if (home / name).exists() and (embedded or name != "postgres")]
    if not there:
        return None
    if not replace:
        raise FailedPrecondition(
            "HOME_NOT_EMPTY",
            f"{home} holds {', '.join(there)}: restore into another SONIC_HOME, or say --replace, "
            "which moves them into a folder beside",
        )
    if embedded:
        # Whoever runs in this home owns its lock: nothing is moved from under a server.
        await asyncio.to_thread(EmbeddedPostgres(home / "postgres").refuse_when_used)
    aside = home / f"before-restore-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    aside.mkdir(mode=0o711)
    for name in there:
        (home / name).rename(aside / name)
    return aside


def _place(folder: Path, home: Path) -> None:
    """The files of the backup's home, for their owner's eyes."""
    if not folder.is_dir():
        return
    for source in sorted(folder.rglob("*")):
        target = home / source.relative_to(folder)
        if source.is_dir():
            target.mkdir(mode=0o700, exist_ok=True)
        else:
            shutil.copyfile(source, target)
            target.chmod(0o600)


async def _fill(url: str, dump: Path, schemas: Sequence[str], say: Say) -> None:
    connection = await asyncpg.connect(plain(url), timeout=10)
    try:
        found = await connection.fetchval(_TABLES, list(SCHEMAS))
        if found:
            raise FailedPrecondition(
                "DATABASE_NOT_EMPTY",
                f"the database has tables of Sonic already ({found}): make a new one and name it "
                "in DATABASE_URL",
            )
    finally:
        await connection.close(timeout=5)
    # Whom the tables belong to must be there before them.
    await initialise(url, schemas, {})
    say("filling the database")
    await run(
        "pg_restore",
        url,
        ["--clean", "--if-exists", "--single-transaction", "--exit-on-error", str(dump)],
    )


async def _verified(plan: Plan, urls: Mapping[str, str], manifest: Manifest) -> tuple[str, int]:
    """What is wrong with the ledger, empty when nothing is, and how many rows were looked at."""
    if manifest.ledger_head is None:
        return "", 0
    request = pb.VerifyLedgerRequest(anchor_hash=manifest.ledger_head.hash)
    try:
        async with (
            system.in_one_process(
                plan, urls, lambda _: None, listens={"alerts": "127.0.0.1:0"}
            ) as addresses,
            connected(addresses) as found,
        ):
            stub = await found.stub("alerts", rpc.LedgerServiceStub)
            answer = await stub.VerifyLedger(request, timeout=_VERIFY_SECONDS)
    except (SonicError, SystemExit) as error:
        return f"it could not be verified: {error}", 0
    problem = "" if answer.intact else answer.problem or answer.bad_file
    return problem, answer.entry_count
