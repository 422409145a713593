"""Taking a backup: one moment of the database, and the files of the home that belong to it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import asyncpg

from services.cli.backup.archive import DUMP, HOME, LedgerHead, Manifest, pack
from services.cli.backup.programs import run
from services.cli.backup.working import working_folder
from services.cli.database import given
from services.cli.plan import SERVICES, Plan
from shared import tokens
from shared.backup_files import name_of
from shared.backup_place import remember, trouble
from shared.database.address import plain
from shared.errors import FailedPrecondition

LEDGER_KEY = "ledger.key"
LEDGER_FOLDER = "ledger"
# The major version of the programs that come with Sonic; they read servers up to their own.
_PROGRAMS_MAJOR = 18
# A backup that fills the disk would stop what it is to save.
_LEAST_FREE_BYTES = 500 * 1024 * 1024
# Told of the backup, and compared after a restore.
COUNTED = ("positions.position", "positions.wallet", "alerts.alert", "alerts.ledger")
_ROWS = """
select (select count(*) from positions.position), (select count(*) from positions.wallet),
    (select count(*) from alerts.alert), (select count(*) from alerts.ledger)
"""
_SCHEMAS = """
select n.nspname from pg_namespace n join pg_class c on c.relnamespace = n.oid
where n.nspname = any($1::text[]) and c.relname = 'alembic_version' order by n.nspname
"""
_HEAD = "select sequence, encode(hash, 'hex') from alerts.ledger order by sequence desc limit 1"
_SEALED = "select inputs_json::json ->> 'file' from alerts.ledger where reason = 'SEALED'"
# Beside those of the services: withdrawals under test.
SCHEMAS = (*SERVICES, "withdrawals_test")


async def take(url: str, home: Path, to: Path) -> tuple[Path, Manifest]:
    """The backup's file and what is in it; `to`: a file that ends in .tar, or a folder that gets
    one named by the time. Raises FailedPrecondition BACKUP_FAILED, POSTGRES_TOO_NEW, NO_ROOM.
    """
    now = datetime.now(UTC).replace(microsecond=0)
    file = _file(to, now)
    await asyncio.to_thread(file.parent.mkdir, parents=True, exist_ok=True, mode=0o700)
    async with working_folder(file.parent, ".backup-") as folder:
        try:
            connection = await asyncpg.connect(plain(url), timeout=10)
            try:
                manifest, sealed = await _dumped(connection, url, folder, now)
            finally:
                await connection.close(timeout=5)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            words = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise FailedPrecondition("BACKUP_FAILED", f"the database: {words}") from error
        missing = await asyncio.to_thread(_copy, home, folder / HOME, sealed)
        manifest = manifest.model_copy(update={"missing": missing})
        return file, await asyncio.to_thread(pack, folder, manifest, file)


async def take_usual(url: str, plan: Plan, to: Path | None = None) -> tuple[Path, Manifest]:
    """Into the folder of backups, or where a person says, who may name a new disk by it. Raises as
    take(), and FailedPrecondition BACKUP_FOLDER_UNMOUNTED.
    """
    folder = plan.backup_folder
    if to is None and (words := await asyncio.to_thread(trouble, folder, plan.home)):
        raise FailedPrecondition("BACKUP_FOLDER_UNMOUNTED", words)
    file, manifest = await take(url, plan.home, to or folder)
    if file.parent == folder:
        await asyncio.to_thread(remember, folder, plan.home, manifest.taken_time)
    return file, manifest


def words_of_missing(manifest: Manifest) -> str:
    """What whoever relies on this backup has to know; empty when it has everything."""
    if not manifest.missing:
        return ""
    count, first = len(manifest.missing), manifest.missing[0]
    return (
        f"{count} sealed files of the ledger are not in it, as {first}: save the folder where"
        " alerts keeps them, and name it here in ALERTS_LEDGER_FOLDER"
    )


def ledger_folder(home: Path) -> Path:
    """Where alerts keeps sealed files: where the person says, else in the home."""
    named = given("ALERTS_LEDGER_FOLDER")
    return Path(named).expanduser().absolute() if named else home / LEDGER_FOLDER


async def counted(connection: asyncpg.Connection[asyncpg.Record]) -> dict[str, int]:
    """Rows of the tables COUNTED names."""
    (found,) = await connection.fetch(_ROWS)
    return dict(zip(COUNTED, found.values(), strict=True))


async def _dumped(
    connection: asyncpg.Connection[asyncpg.Record], url: str, folder: Path, now: datetime
) -> tuple[Manifest, Sequence[str]]:
    major = connection.get_server_version().major
    if major > _PROGRAMS_MAJOR:
        raise FailedPrecondition(
            "POSTGRES_TOO_NEW",
            f"the server is PostgreSQL {major}, the programs here read up to {_PROGRAMS_MAJOR}: "
            f"use pg_dump of version {major}, or update Sonic",
        )
    await _refuse_without_room(connection, folder)
    # What is told of the backup is of the very moment that the dump is of.
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        snapshot = await connection.fetchval("select pg_export_snapshot()")
        schemas = [row[0] for row in await connection.fetch(_SCHEMAS, list(SCHEMAS))]
        if "alerts" not in schemas:
            raise FailedPrecondition("NOTHING_TO_BACK_UP", "this database has no tables of Sonic")
        manifest = await _described(connection, schemas, now, major)
        sealed = [row[0] for row in await connection.fetch(_SEALED)]
        words = ["--format=custom", f"--snapshot={snapshot}", f"--file={folder / DUMP}"]
        await run("pg_dump", url, [*words, *(f"--schema={name}" for name in schemas)])
    return manifest, sealed


async def _described(
    connection: asyncpg.Connection[asyncpg.Record],
    schemas: Sequence[str],
    now: datetime,
    major: int,
) -> Manifest:
    revisions = {
        name: await connection.fetchval(f"select version_num from {name}.alembic_version")  # noqa: S608 - names of ours
        for name in schemas
    }
    head = await connection.fetchrow(_HEAD)
    return Manifest(
        sonic_version=version("sonic"),
        taken_time=now,
        postgres_version=major,
        revisions=revisions,
        ledger_head=LedgerHead(sequence=head[0], hash=head[1]) if head else None,
        rows=await counted(connection),
    )


async def _refuse_without_room(
    connection: asyncpg.Connection[asyncpg.Record], folder: Path
) -> None:
    """A dump is smaller than its database; how much is known when it is made."""
    size = await connection.fetchval("select pg_database_size(current_database())")
    free = shutil.disk_usage(folder).free
    if free - size < _LEAST_FREE_BYTES:
        raise FailedPrecondition(
            "NO_ROOM",
            f"{free / 1e6:,.0f} MB are free at {folder.parent}, the database has "
            f"{size / 1e6:,.0f} MB: make room, or name a folder on another disk with --to",
        )


def _copy(home: Path, to: Path, sealed: Sequence[str]) -> tuple[str, ...]:
    """The ledger's key and tokens, and the sealed files that the dump's ledger speaks of: a newer
    one would be a file that no seal speaks of. Answers those that are not here.
    """
    to.mkdir(mode=0o700)
    for name in (LEDGER_KEY, tokens.FILE_NAME):
        if (home / name).is_file():
            shutil.copyfile(home / name, to / name)
    ledger = ledger_folder(home)
    for name in sealed:
        for file in (ledger / name, ledger / f"{name}.seal"):
            if file.is_file():
                (to / LEDGER_FOLDER).mkdir(exist_ok=True, mode=0o700)
                shutil.copyfile(file, to / LEDGER_FOLDER / file.name)
    return tuple(name for name in sealed if not (ledger / name).is_file())


def _file(to: Path, now: datetime) -> Path:
    wanted = to.expanduser().absolute()
    return wanted if wanted.suffix == ".tar" else wanted / name_of(now)
