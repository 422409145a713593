"""A service's own migration history: brought to its head by one process at a time, compared with
its tables.

Alembic is imported only when there is something to do: a service that is up to date starts without
it.
"""

from __future__ import annotations

import asyncio
import io
import re
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg

from shared.apart import apart
from shared.database.address import plain
from shared.database.roles import owner
from shared.errors import FailedPrecondition

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection, MetaData

    from shared.database.pool import Database

VERSION_TABLE = "alembic_version"
Before = Callable[[Sequence[str]], Awaitable[None]]
# Beside `versions`: the history that led to its first revision, for homes that are somewhere in it.
_BEFORE = "before"
_LOCK_CLASS = 0x4D_49_47
_REVISION = re.compile(r"""^revision\b[^=\n]*=\s*["']([^"']+)["']""", re.MULTILINE)
_DOWN_REVISION = re.compile(r"""^down_revision\b[^=\n]*=\s*["']([^"']+)["']""", re.MULTILINE)
# Alembic's `context` and `op` belong to the whole process.
_one_at_a_time = threading.Lock()


async def upgrade(url: str, service: str, script_location: Path) -> None:
    """Bring the schema `service` to the head of its history, as its owner, all of it or nothing.

    `url` is the owner's or the administrator's. Waits for another process that does the same.
    Raises as any use of the database does: Unavailable DATABASE_FULL when there is no room for it,
    ...
    """
    await upgrade_all(url, {service: script_location})


async def upgrade_all(
    url: str,
    script_locations: Mapping[str, Path],
    *,
    before: Before | None = None,
    leaves_newer: bool = False,
    is_apart: bool = False,
) -> None:
    """upgrade() for several services by one administrator's URL, with one look at what there is to
    do.

    `before` hears whose tables are about to change, of those that have any. `leaves_newer`: a
    schema that a later version made stays as it is, in place of FailedPrecondition
    MIGRATION_REFUSED. `is_apart`: in a process of its own, for who runs on and would keep the 50 MB
    that Alembic and the tables take.
    """
    heads = {service: head(location) for service, location in script_locations.items()}
    present = await _present(plain(url), heads)
    changing = {
        service: location
        for service, location in script_locations.items()
        if heads[service] != present.get(service)
        and not (leaves_newer and _is_newer(present.get(service), location))
    }
    if before is not None and (kept := [service for service in changing if service in present]):
        await before(kept)
    if is_apart and changing:
        await asyncio.to_thread(apart, _change, url, changing)
    else:
        await _changed(url, changing)


def _change(url: str, script_locations: Mapping[str, Path]) -> None:
    asyncio.run(_changed(url, script_locations))


async def _changed(url: str, script_locations: Mapping[str, Path]) -> None:
    for service, location in script_locations.items():
        await _with_alembic(url, service, location, _upgrade)


def _is_newer(revision: str | None, script_location: Path) -> bool:
    """Whether a later version made it: it is none of this one's."""
    known = {*_revisions(script_location)[0], *_before(script_location)}
    return revision is not None and revision not in known


async def check(url: str, service: str, script_location: Path) -> None:
    """FailedPrecondition SCHEMA_DRIFT, naming each difference, unless the schema equals
    tables.py."""
    await _with_alembic(url, service, script_location, _check)


async def draft(url: str, service: str, script_location: Path, message: str) -> Path:
    """Write the next migration from how tables.py differs from the migrated schema; to be read and
    edited.
    """
    before = set((script_location / "versions").glob("*.py"))
    number = f"{int(head(script_location) or 0) + 1:04d}"

    def write(connection: Connection, config: Config) -> None:
        from alembic import command

        command.revision(config, message, autogenerate=True, rev_id=number)

    (script_location / "versions").mkdir(exist_ok=True)
    await _with_alembic(url, service, script_location, write)
    return (set((script_location / "versions").glob("*.py")) - before).pop()


def head(script_location: Path) -> str | None:
    """The last revision of a history, read from its files; None when there is none yet."""
    revisions, followed = _revisions(script_location)
    heads = [revision for revision in revisions if revision not in followed]
    if len(heads) > 1:
        raise FailedPrecondition(
            "HISTORY_FORKS", f"{script_location} has several last revisions: {heads}"
        )
    return heads[0] if heads else None


def migrated(database: Database, script_location: Path) -> Callable[[], Awaitable[None]]:
    """A server's `ready`: a real query, a schema that is not older than this program, and room to
    write.

    A newer one, whose revision is none of ours, is ready: replicas of the last version serve until
    replaced.
    """
    _, older = _revisions(script_location)
    older |= _before(script_location)

    async def ready() -> None:
        rows = await database.fetch(f"select version_num from {VERSION_TABLE}")
        present = rows[0][0] if rows else None
        if present is None or present in older:
            wanted = head(script_location)
            raise FailedPrecondition(
                "SCHEMA_TOO_OLD", f"the schema is at {present}, this needs {wanted}"
            )
        await database.has_room()

    return ready


def _before(script_location: Path) -> set[str]:
    """The revisions of the history that the present one has replaced."""
    return set(_revisions(script_location, _BEFORE)[0])


def _revisions(script_location: Path, folder: str = "versions") -> tuple[list[str], set[str]]:
    """Every revision of a history in the order of its files, and those that another one follows."""
    texts = [file.read_text() for file in sorted((script_location / folder).glob("*.py"))]
    revisions = [found[1] for text in texts if (found := _REVISION.search(text))]
    return revisions, {found[1] for text in texts if (found := _DOWN_REVISION.search(text))}


def run_sql(file: Path) -> None:
    """For a revision that is SQL: the statements of `file`, each of which ends a line with `;`."""
    from alembic import op

    connection = op.get_bind()
    for statement in file.read_text().split(";\n"):
        if statement.strip():
            connection.exec_driver_sql(statement)


def run(metadata: MetaData) -> None:
    """What a service's migrations/env.py calls: Alembic on the connection it was given."""
    from alembic import context

    connection: Connection = context.config.attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table=VERSION_TABLE,
        compare_type=True,
        compare_server_default=True,
    )
    with context.begin_transaction():
        context.run_migrations()


async def _present(url: str, heads: Mapping[str, str | None]) -> dict[str, str]:
    """The revision each schema is at, for those that have one."""
    connection = await asyncpg.connect(url, timeout=10)
    try:
        query = (
            "select s from unnest($1::text[]) s where to_regclass(quote_ident(s) || $2) is not null"
        )
        started = [
            row[0] for row in await connection.fetch(query, list(heads), f".{VERSION_TABLE}")
        ]
        if not started:
            return {}
        # Only names that initialise() accepted have such a table.
        union = " union all ".join(
            f"select '{s}', version_num from {s}.{VERSION_TABLE}" for s in started
        )
        return {row[0]: row[1] for row in await connection.fetch(union)}
    except asyncpg.InsufficientPrivilegeError:
        return {}
    finally:
        await connection.close()


async def _with_alembic(
    url: str, service: str, location: Path, work: Callable[[Connection, Config], None]
) -> None:
    """Do `work` in a thread of its own: Alembic is slow to import and blocks while it compares."""

    def alone() -> None:
        with _one_at_a_time:
            asyncio.run(_locked(url, service, location, work))

    await asyncio.to_thread(alone)


async def _locked(
    url: str, service: str, location: Path, work: Callable[[Connection, Config], None]
) -> None:
    from alembic.config import Config
    from sqlalchemy import pool
    from sqlalchemy.exc import SQLAlchemyError
    from sqlalchemy.ext.asyncio import create_async_engine

    from shared.database.failures import translated

    async def opened() -> asyncpg.Connection[asyncpg.Record]:
        # From the first moment on, so that SQLAlchemy takes the service's schema for the default
        # one.
        return await asyncpg.connect(
            plain(url), timeout=10, server_settings={"search_path": service}
        )

    config = Config(stdout=io.StringIO())
    config.set_main_option("script_location", str(location).replace("%", "%%"))
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=opened, poolclass=pool.NullPool
    )

    def in_transaction(connection: Connection) -> None:
        config.attributes["connection"] = connection
        work(connection, config)

    try:
        with translated(SQLAlchemyError):
            async with engine.begin() as connection:
                await connection.exec_driver_sql(
                    f"select pg_advisory_xact_lock({_LOCK_CLASS}, hashtext('{service}'))"
                )
                await connection.exec_driver_sql(f"set local role {owner(service)}")
                await connection.run_sync(in_transaction)
    finally:
        await engine.dispose()


def _upgrade(connection: Connection, config: Config) -> None:
    from alembic import command
    from alembic.util import CommandError

    service = connection.exec_driver_sql("select current_schema()").scalar_one()
    try:
        _upgrade_before(connection, config)
        command.upgrade(config, "head")
    except CommandError as problem:
        # Most often a database that a later version of the program has migrated already.
        raise FailedPrecondition(
            "MIGRATION_REFUSED",
            f"{service}: {problem}; if a later version made these tables start that one, or go back"
            " as docs/upgrading.md says",
        ) from problem
    # The running role reads its version and never changes it.
    connection.exec_driver_sql(f"revoke insert, update, delete on {VERSION_TABLE} from {service}")


def _upgrade_before(connection: Connection, config: Config) -> None:
    """A schema of the history before goes to its end, which is the first revision of `versions`."""
    from alembic import command
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    options = {"version_table": VERSION_TABLE}
    present = MigrationContext.configure(connection, opts=options).get_current_revision()
    location = Path(str(config.get_main_option("script_location")))
    if present not in _before(location):
        return
    before = Config(stdout=config.stdout, attributes=config.attributes)
    before.set_main_option("script_location", str(location).replace("%", "%%"))
    before.set_main_option("path_separator", "newline")
    before.set_main_option("version_locations", str(location / _BEFORE).replace("%", "%%"))
    command.upgrade(before, "head")
    (start,) = ScriptDirectory.from_config(config).get_bases()
    connection.exec_driver_sql(f"update {VERSION_TABLE} set version_num = '{start}'")


def _check(connection: Connection, config: Config) -> None:
    from alembic import command
    from alembic.util import CommandError

    try:
        command.check(config)
    except CommandError as drift:
        service = connection.exec_driver_sql("select current_schema()").scalar_one()
        raise FailedPrecondition("SCHEMA_DRIFT", f"{service}: {drift}") from drift
