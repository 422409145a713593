"""`sonic doctor`: looks at what the system needs and says the fix."""

from __future__ import annotations

import importlib
import os
import platform
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from pathlib import Path
from typing import Annotated

import asyncpg
import typer
from pydantic import ValidationError
from rich.text import Text
from sonic.cyclone.v1 import cyclone_pb2, cyclone_pb2_grpc

from services.cli import certificates, database, privacy, system
from services.cli.backup.schedule import overdue
from services.cli.connection import System, connected
from services.cli.database import given
from services.cli.output import command, console, print_json, short, table
from services.cli.plan import Plan, running_file, taken_addresses
from services.cli.room import (
    LAST_BYTES,
    LOW_BYTES,
    folder_bytes,
    free_bytes,
    written_folders,
)
from services.cli.storage import Storage, megabytes, storage
from shared.backup_files import backups_in, last_taken
from shared.backup_place import trouble
from shared.database import roles
from shared.database.address import plain
from shared.errors import FailedPrecondition, InvalidArgument, SonicError
from shared.ports import holder_of
from shared.postgres import permissions
from shared.service_tokens import ServiceTokens, token_of

NEEDED = (
    "grpc",
    "google.protobuf",
    "protovalidate",
    "sqlalchemy",
    "asyncpg",
    "alembic",
    "numpy",
    "httpx",
    "starlette",
    "cryptography",
)
# Settings that only work together: when the first is set, the others must be.
TOGETHER = (
    ("SMTP_SERVER", ("SMTP_DEFAULT_RECIPIENT",)),
    ("SMTP_USERNAME", ("SMTP_PASSWORD",)),
    ("WEBHOOK_URL", ("WEBHOOK_SECRET",)),
    ("TWILIO_ACCOUNT_SID", ("TWILIO_AUTH_TOKEN", "TWILIO_FROM")),
)
# By which people are told elsewhere; one is enough.
CHANNELS = (
    "SMTP_SERVER",
    "TWILIO_ACCOUNT_SID",
    "WEBHOOK_URL",
    "XCOM_SLACK_URL",
    "XCOM_TELEGRAM_URL",
    "XCOM_DISCORD_URL",
    "XCOM_NTFY_URL",
    "XCOM_PUSHOVER_URL",
    "XCOM_APPRISE_URLS",
)
_STREAM_STATES = cyclone_pb2.StreamState
STYLES = {"ok": "green", "warning": "yellow", "problem": "bold red"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: ok, warning or problem, and what to do."""

    what: str
    verdict: str
    found: str
    fix: str = ""
    figures: Mapping[str, object] | None = None


@command
async def doctor(
    json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> int:
    """Check this machine and its settings. Exit code 1 when something must be fixed."""
    try:
        plan = Plan()
    except ValidationError as error:
        names = ", ".join(str(problem["loc"][0]).upper() for problem in error.errors())
        findings = [
            Finding("settings", "problem", f"{names} cannot be read", "correct or unset them")
        ]
    else:
        findings = [
            *_machine(),
            *_home(plan.home),
            _backups(plan),
            *_settings(),
            *await _database(plan),
            *_certificates(plan),
            *await _running(plan),
        ]
    if json:
        told = [asdict(finding) for finding in findings]
        print_json(
            [{name: value for name, value in one.items() if value is not None} for one in told]
        )
    else:
        made = table("Doctor", ["", "what", "found", "fix"])
        for finding in findings:
            made.add_row(
                Text(finding.verdict, style=STYLES[finding.verdict]),
                finding.what,
                finding.found,
                finding.fix,
            )
        console.print(made)
    return 1 if any(finding.verdict == "problem" for finding in findings) else 0


def _machine() -> Iterable[Finding]:
    version = platform.python_version()
    enough = sys.version_info >= (3, 11)
    yield Finding(
        "python",
        "ok" if enough else "problem",
        version,
        "" if enough else "install Python 3.11 or newer",
    )
    missing = [name for name in NEEDED if not _importable(name)]
    yield Finding(
        "packages",
        "problem" if missing else "ok",
        f"missing {', '.join(missing)}" if missing else "complete",
        "make clean, then make run" if missing else "",
    )


def _importable(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True


def _home(home: Path) -> Iterable[Finding]:
    nearest = next(folder for folder in (home, *home.parents) if folder.exists())
    writable = os.access(nearest, os.W_OK)
    yield Finding(
        "SONIC_HOME",
        "ok" if writable else "problem",
        str(home),
        "" if writable else "set SONIC_HOME to a folder you may write to",
    )
    for exposure in privacy.exposures(home):
        yield Finding(
            "privacy", "warning" if exposure.is_ours else "problem", exposure.words, exposure.fix
        )
    for fault in permissions.faults(home / "postgres"):
        yield Finding("database folder", "problem", fault.words, fault.fix)
    free = min(free_bytes(folder) for folder in written_folders(home))
    verdict = "ok" if free > LOW_BYTES else "warning" if free > LAST_BYTES else "problem"
    yield Finding(
        "disk",
        verdict,
        f"{free / 1024**3:.1f} GiB free",
        "" if free > LOW_BYTES else "make room: the record only grows",
    )


def _backups(plan: Plan) -> Finding:
    now = datetime.now(UTC)
    if words := trouble(plan.backup_folder, plan.home):
        problem, _, fix = words.partition(": ")
        return Finding("backup", "problem", problem, fix)
    taken = last_taken(plan.backup_folder, now)
    if _is_beside_what_it_saves(plan):
        found = f"{plan.backup_folder} is on the disk of SONIC_HOME, and breaks with it"
        return Finding("backup", "warning", found, "mount its disk, or name a folder on another")
    if taken is None:
        return Finding("backup", "warning", "none yet", "sonic backup; sonic up takes one a day")
    found = f"{len(backups_in(plan.backup_folder))}, the last {short(now - taken)} ago"
    old = overdue(plan.backup_folder, plan.sonic_backup_hours, now)
    return Finding("backup", "warning" if old else "ok", found, "sonic backup" if old else "")


def _is_beside_what_it_saves(plan: Plan) -> bool:
    """A folder that was named for being elsewhere, and is not."""
    folder = plan.backup_folder
    if folder.is_relative_to(plan.home) or not (folder.is_dir() and plan.home.is_dir()):
        return False
    return folder.stat().st_dev == plan.home.stat().st_dev


def _settings() -> Iterable[Finding]:
    try:
        yield from _set_settings()
    except InvalidArgument as problem:
        yield _unread("SONIC_SECRETS_DIR", problem)


def _set_settings() -> Iterable[Finding]:
    """Of the environment and of mounted files, as the services read them."""
    for first, others in TOGETHER:
        missing = [name for name in others if given(first) and not given(name)]
        if missing:
            yield Finding(
                first,
                "problem",
                f"{', '.join(missing)} is not set",
                f"set {', '.join(missing)} or unset {first}",
            )
    told = [name for name in CHANNELS if given(name)]
    yield Finding(
        "channels",
        "ok" if told else "warning",
        ", ".join(told) or "none: messages go to the log only",
        ""
        if told
        else "set SMTP_SERVER and SMTP_DEFAULT_RECIPIENT, or another of docs/channels.md",
    )
    outside = bool(given("HEARTBEAT_URL"))
    yield Finding(
        "HEARTBEAT_URL",
        "ok" if outside else "warning",
        "set" if outside else "not set: nobody outside notices when this machine dies",
        "" if outside else "point it at a dead-man's switch",
    )


def _unread(what: str, problem: InvalidArgument) -> Finding:
    """What cannot be read, and its fix, as `sonic up` says it."""
    found, _, fix = problem.message.partition("; ")
    return Finding(what, "problem", found, fix or "correct it")


async def _database(plan: Plan) -> list[Finding]:
    try:
        url = plan.database_url.get_secret_value() if plan.database_url else given("DATABASE_URL")
        passwords = database.known_passwords(plan.home)
    except InvalidArgument as problem:
        return [_unread("database", problem)]
    if not url:
        return [Finding("database", "ok", "embedded")]
    try:
        connection = await asyncpg.connect(plain(url), timeout=5)
        version = await connection.fetchval("show server_version")
        await connection.close()
        refused = await roles.refused(url, passwords)
    except (OSError, TimeoutError, asyncpg.PostgresError, SonicError) as error:
        # The server's own words: they name a role or a host, never a password.
        words = str(error).splitlines()[0] if str(error) else type(error).__name__
        return [Finding("DATABASE_URL", "problem", words, "check host, port, name and password")]
    fix = (
        "roles.json or the <SERVICE>_DATABASE_URL of the home that set these passwords belongs "
        "here; "
        "or set them anew with sonic db init"
    )
    return [
        Finding("DATABASE_URL", "ok", f"PostgreSQL {version}"),
        *(Finding(f"login of {role}", "problem", words, fix) for role, words in refused.items()),
    ]


async def _running(plan: Plan) -> list[Finding]:
    """Of a system that runs; nobody can ask one without what shows who asks."""
    try:
        if isinstance(identity := plan.identity, ServiceTokens):
            token_of(identity.own)
        elif identity is not None:
            identity.read()
    except (OSError, ValueError, SonicError) as problem:
        own = "TLS_CERT, TLS_KEY, TLS_CA" if plan.tls_cert else "certificates"
        what = "SERVICE_TOKEN_FILE" if plan.service_token_file else own
        found = f"cannot be read, and so a system that runs cannot be asked: {problem}"
        return [Finding(what, "problem", found, "mend that file, or unset what names it")]
    return [*await _ports(plan), *await _storage(plan), *await _streams(plan)]


async def _storage(plan: Plan) -> list[Finding]:
    """What is kept now and will be in a month; without a running system only what is here."""
    unknown = "in a month UNKNOWN, Sonic is not running"
    if not await system.runs(plan, "monitor"):
        size = folder_bytes(plan.home)
        told = f"{megabytes(size)} now, {unknown}"
        return [Finding("storage", "ok", told, figures={"bytes": size})]
    try:
        async with connected() as found:
            kept = await storage(found)
    except SonicError as error:
        return [Finding("storage", "warning", f"{error.reason}: {error.message}")]
    if kept is None:
        return [Finding("storage", "ok", "UNKNOWN, not measured yet")]
    free = min(free_bytes(folder) for folder in written_folders(plan.home))
    fix = "make room, or keep less: the settings named ..._DAYS" if kept.grows_over(free) else ""
    verdict = "warning" if fix else "ok"
    return [Finding("storage", verdict, kept.sentence(), fix, kept.as_dict()), *_ledger(kept)]


async def _streams(plan: Plan) -> list[Finding]:
    """How they stand; without a running system nobody knows."""
    if not await system.runs(plan, "cyclone"):
        return []
    try:
        async with connected() as found:
            return [await streams(found)]
    except SonicError as error:
        return [Finding("streams", "warning", f"{error.reason}: {error.message}")]


async def streams(found: System) -> Finding:
    """Whether those that are followed are open. One that is not makes nothing less safe."""
    stub = await found.stub("cyclone", cyclone_pb2_grpc.CycloneServiceStub)
    answer = await stub.ListStreams(cyclone_pb2.ListStreamsRequest())
    if not answer.enabled:
        return Finding("streams", "ok", "off: looks are those of the schedule (SONIC_STREAMS=1)")
    told = [
        f"{one.name} {_STREAM_STATES.Name(one.state).removeprefix('STREAM_STATE_')} {one.reason}"
        for one in answer.streams
    ]
    is_lost = any(one.state == _STREAM_STATES.STREAM_STATE_RECONNECTING for one in answer.streams)
    return Finding(
        "streams",
        "warning" if is_lost else "ok",
        ", ".join(map(str.strip, told)) or "nothing was heard of them yet",
        "cycles go on by schedule; docs/streams.md says what each reason means" if is_lost else "",
    )


def _ledger(kept: Storage) -> Iterable[Finding]:
    """How old the ledger gets, and what keeps its old rows."""
    if kept.ledger is None:
        return
    problem = kept.ledger_problem()
    fix = "sonic ledger age says more" if problem else ""
    verdict = "warning" if problem else "ok"
    yield Finding("ledger", verdict, problem or kept.ledger_sentence(), fix)


def _certificates(plan: Plan) -> list[Finding]:
    """Until when this machine's own are good; `sonic up` renews them a month before."""
    try:
        if certificates.operators(plan.tls_folder) is None:
            return []
        name, until = min(certificates.expiries(plan.tls_folder).items(), key=itemgetter(1))
        certificates.files(plan.tls_folder, certificates.OPERATOR).read()
    except FailedPrecondition as problem:
        return [Finding("certificates", "problem", problem.message)]
    except (OSError, ValueError) as problem:
        fix = f"remove {plan.tls_folder} and start sonic up again, which makes them anew"
        return [Finding("certificates", "problem", f"cannot be read: {problem}", fix)]
    left = until - datetime.now(UTC)
    told = f"good until {until:%Y-%m-%d}, first that of {name}"
    if left > certificates.RENEWED_BEFORE / 2:
        return [Finding("certificates", "ok", told)]
    verdict = "warning" if left > timedelta() else "problem"
    told = told if left > timedelta() else f"that of {name} ended on {until:%Y-%m-%d}"
    return [Finding("certificates", verdict, told, "start sonic up, which renews them")]


async def _ports(plan: Plan) -> list[Finding]:
    if running_file(plan.home).exists() and await system.runs(plan, "cyclone"):
        return [Finding("ports", "ok", "Sonic is running")]
    taken = taken_addresses(plan)
    listed = ", ".join(f"{address} by {holder_of(address) or 'somebody'}" for address in taken)
    fix = "stop what listens there, or set SONIC_PORT_BASE and SONIC_HTTP_PORT" if taken else ""
    return [
        Finding("ports", "problem" if taken else "ok", f"taken: {listed}" if taken else "free", fix)
    ]
