"""Restoring a backup into a home, or a database, that holds nothing yet."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from filecmp import cmp
from functools import partial
from pathlib import Path

import asyncpg
from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.alerts.v1 import alerts_pb2_grpc as rpc

from services.cli import database, privacy, system
from services.cli.backup.archive import DUMP, HOME, Manifest, unpack
from services.cli.backup.past import Past, leave_to_the_past
from services.cli.backup.programs import run
from services.cli.backup.take import LEDGER_FOLDER, LEDGER_KEY, SCHEMAS, counted, ledger_folder
from services.cli.backup.working import working_folder
from services.cli.connection import connected
from services.cli.plan import Plan
from shared import log, tokens
from shared.database.address import plain
from shared.database.roles import initialise
from shared.errors import FailedPrecondition, SonicError
from shared.postgres import EmbeddedPostgres

Say = Callable[[str], None]
# What of a home is its data: moved aside, or refused, when a backup is to take its place.
_DATA = ("postgres", LEDGER_FOLDER, LEDGER_KEY)
_VERIFY_SECONDS = 600.0
_TABLES = """
select n.nspname || '.' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p') and n.nspname = any($1::text[]) order by 1 limit 1
"""


@dataclass(frozen=True, slots=True)
class Restored:
    """What came of it. `ledger_problem` is empty when every row fits up to the backup's head;
    `set_aside`: where what was there before lies now; `past`: what is told to nobody.
    """

    manifest: Manifest
    rows: Mapping[str, int]
    ledger_problem: str
    ledger_row_count: int
    set_aside: Path | None
    past: Past


async def fill_from(plan: Plan, file: Path, say: Say, *, replace: bool) -> Restored:
    """Into the home's embedded PostgreSQL, or the database of DATABASE_URL. Raises
    FailedPrecondition BACKUP_DAMAGED, BACKUP_UNREADABLE, BACKUP_FAILED, HOME_NOT_EMPTY,
    LEDGER_FOLDER_NOT_EMPTY, DATABASE_NOT_EMPTY, HOME_IN_USE; the home stays as it was, then, also
    when this is killed: all is made ready in a home beside, and takes its place when it is whole.
    """
    privacy.make(plan.home)
    embedded = not (plan.database_url or database.given("DATABASE_URL"))
    await asyncio.to_thread(_refuse_what_is_there, plan.home, embedded=embedded, replace=replace)
    async with working_folder(plan.home, ".restore-") as folder:
        say("reading the backup")
        # Of the servers that help only what is wrong is said.
        log.configure("sonic", "ERROR", json=False)
        manifest = await asyncio.to_thread(unpack, file, folder)
        made = plan.model_copy(update={"sonic_home": folder / HOME})
        _refuse_other_sealed_files(made.home / LEDGER_FOLDER, plan.home)
        for passed in (folder, folder.parent):
            passed.chmod(plan.home.stat().st_mode & 0o711)
        try:
            async with database.opened(made) as opened:
                await _fill(opened.url, folder / DUMP, list(manifest.revisions), say)
                say("bringing its tables up to date")
                urls = await database.prepare(opened, made.home if embedded else plan.home)
                now = datetime.now(UTC)
                past = await leave_to_the_past(opened.url, manifest.taken_time, now)
                rows = await _counted(opened.url)
                say("verifying the ledger")
                problem, row_count = await _verified(made, urls, manifest)
            moving = partial(_take_place, made.home, plan.home, embedded=embedded)
            set_aside = await asyncio.to_thread(moving)
        except BaseException:
            # Its data may lie elsewhere, where the server's account may go.
            if (made.home / "postgres").exists():
                await asyncio.to_thread(EmbeddedPostgres(made.home / "postgres").destroy)
            raise
        return Restored(manifest, rows, problem, row_count, set_aside, past)


async def _counted(url: str) -> dict[str, int]:
    connection = await asyncpg.connect(plain(url), timeout=10)
    try:
        return await counted(connection)
    finally:
        await connection.close(timeout=5)


def _there(home: Path, *, embedded: bool) -> list[str]:
    return [name for name in _DATA if (home / name).exists() and (embedded or name != "postgres")]


def _refuse_what_is_there(home: Path, *, embedded: bool, replace: bool) -> None:
    there = _there(home, embedded=embedded)
    if there and not replace:
        raise FailedPrecondition(
            "HOME_NOT_EMPTY",
            f"{home} holds {', '.join(there)}: restore into another SONIC_HOME, or say --replace, "
            "which moves them into a folder beside",
        )
    if embedded and "postgres" in there:
        # Whoever runs in this home owns its lock: nothing is moved from under a server.
        EmbeddedPostgres(home / "postgres").refuse_when_used()


def _refuse_other_sealed_files(made: Path, home: Path) -> None:
    """Of a folder outside the home, which nobody moves aside."""
    outside = ledger_folder(home)
    if outside == home / LEDGER_FOLDER:
        return
    for source in made.glob("*"):
        target = outside / source.name
        if target.exists() and not cmp(source, target, shallow=False):
            raise FailedPrecondition(
                "LEDGER_FOLDER_NOT_EMPTY",
                f"{target} is another one than the backup's: name an empty folder in "
                "ALERTS_LEDGER_FOLDER",
            )


def _take_place(made: Path, home: Path, *, embedded: bool) -> Path | None:
    """What is new into the home, what was there into a folder beside; all of it or nothing."""
    _refuse_what_is_there(home, embedded=embedded, replace=True)
    there = _there(home, embedded=embedded)
    outside = ledger_folder(home)
    if outside != home / LEDGER_FOLDER:
        _copy_missing(made / LEDGER_FOLDER, outside)
    aside = home / f"before-restore-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    if there:
        aside.mkdir(mode=0o711)
    moves = [(home / name, aside / name) for name in there]
    moves += [(made / name, home / name) for name in _DATA if (made / name).exists()]
    # Who may ask is of today: a token that was revoked since is not to come back.
    if (made / tokens.FILE_NAME).exists() and not (home / tokens.FILE_NAME).exists():
        moves.append((made / tokens.FILE_NAME, home / tokens.FILE_NAME))
    done: list[tuple[Path, Path]] = []
    try:
        for source, target in moves:
            source.rename(target)
            done.append((source, target))
    except OSError:
        for source, target in reversed(done):
            target.rename(source)
        raise
    return aside if there else None


def _copy_missing(made: Path, to: Path) -> None:
    for source in sorted(made.glob("*")):
        if not (to / source.name).exists():
            to.mkdir(parents=True, exist_ok=True, mode=0o700)
            fresh = to / f"{source.name}.new"
            shutil.copyfile(source, fresh)
            fresh.chmod(0o600)
            fresh.rename(to / source.name)


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
                plan,
                urls,
                lambda _: None,
                listens={"alerts": "127.0.0.1:0"},
                extra={"ALERTS_LEDGER_FOLDER": str(plan.home / LEDGER_FOLDER)},
            ) as addresses,
            connected(addresses) as found,
        ):
            stub = await found.stub("alerts", rpc.LedgerServiceStub)
            answer = await stub.VerifyLedger(request, timeout=_VERIFY_SECONDS)
    except (SonicError, SystemExit) as error:
        return f"it could not be verified: {error}", 0
    problem = "" if answer.intact else answer.problem or answer.bad_file
    return problem, answer.entry_count
