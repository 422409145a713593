"""Two roles and one schema for each service, and nobody in anybody else's.

Run by the administrator.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Collection, Mapping, Sequence

import asyncpg

from shared.database.address import as_role, database_name, plain
from shared.errors import InvalidArgument

LOCK_KEY = 0x50_4E_49_43
_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")
SCRAM_ROUNDS = 4096
_TRIES = 10


def owner(service: str) -> str:
    """The role that owns the service's schema and migrates it."""
    return f"{service}_owner"


async def initialise(
    admin_url: str,
    services: Sequence[str],
    passwords: Mapping[str, str],
    *,
    replace: bool = True,
    scram_rounds: int = SCRAM_ROUNDS,
) -> None:
    """Make the roles `<service>` and `<service>_owner` and the schema `<service>`, or bring them up
    to date.

    `passwords` is by role name. A role without one keeps the login it has, a new one cannot log in
    (owners usually need none: the administrator becomes them to migrate). With `replace` false a
    role that has a login keeps it: somebody else may be using it now. Idempotent; safe to run from
    many places at once. The names of the services must be the administrator's own choice.
    `scram_rounds` is what every login costs.
    """
    for service in services:
        if not _NAME.fullmatch(service):
            raise InvalidArgument(
                "BAD_SERVICE_NAME", f"'{service}' cannot name a schema and a role"
            )
    connection = await asyncpg.connect(plain(admin_url), timeout=10)
    try:
        database = database_name(admin_url)
        await _until_undisturbed(connection, database, services, passwords, replace, scram_rounds)
    finally:
        await connection.close()


async def _until_undisturbed(
    connection: asyncpg.Connection[asyncpg.Record],
    database: str,
    services: Sequence[str],
    passwords: Mapping[str, str],
    replace: bool,
    scram_rounds: int,
) -> None:
    """Roles belong to the whole server, the lock only to this database:
    another one may interfere."""
    for left in reversed(range(_TRIES)):
        try:
            async with connection.transaction():
                await connection.execute("select pg_advisory_xact_lock($1)", LOCK_KEY)
                kept = set() if replace else await _with_login(connection, passwords)
                wanted = {
                    role: verifier(word, scram_rounds)
                    for role, word in passwords.items()
                    if role not in kept
                }
                await _initialise(connection, database, services, wanted)
            return
        except (
            asyncpg.UniqueViolationError,
            asyncpg.DuplicateObjectError,
            asyncpg.InternalServerError,
        ):
            if not left:
                raise
            await asyncio.sleep(0.05)


async def admit(
    connection: asyncpg.Connection[asyncpg.Record], database: str, services: Sequence[str]
) -> None:
    """Who may connect to a copy of a database that `initialise` prepared: what a copy does not
    keep.
    """
    await connection.execute(";\n".join(_admissions(database, services)))


async def refused(url: str, passwords: Mapping[str, str]) -> dict[str, str]:
    """The roles that cannot log in with the password given here, and what the server says about
    each.
    """

    async def words(role: str, password: str) -> str:
        try:
            connection = await asyncpg.connect(as_role(url, role, password), timeout=10)
        except (
            asyncpg.InvalidAuthorizationSpecificationError,
            asyncpg.InsufficientPrivilegeError,
        ) as error:
            return str(error)
        await connection.close()
        return ""

    said = await asyncio.gather(*(words(role, password) for role, password in passwords.items()))
    return {role: word for role, word in zip(passwords, said, strict=True) if word}


async def _with_login(
    connection: asyncpg.Connection[asyncpg.Record], roles: Collection[str]
) -> set[str]:
    """Those of the roles that can log in already. Who has a password only a superuser may see."""
    superuser = await connection.fetchval(
        "select rolsuper from pg_roles where rolname = current_user"
    )
    table = "pg_authid" if superuser else "pg_roles"
    rows = await connection.fetch(
        f"select rolname from {table} where rolcanlogin and rolpassword is not null and rolname ="
        " any($1)",
        list(roles),
    )
    return {row[0] for row in rows}


async def _initialise(
    connection: asyncpg.Connection[asyncpg.Record],
    database: str,
    services: Sequence[str],
    verifiers: Mapping[str, str],
) -> None:
    wanted = [role for service in services for role in (service, owner(service))]
    present = {
        row[0]
        for row in await connection.fetch(
            "select rolname from pg_roles where rolname = any($1)", wanted
        )
    }
    superuser = await connection.fetchval(
        "select rolsuper from pg_roles where rolname = current_user"
    )
    script = [f"create role {role} nologin" for role in wanted if role not in present]
    if not superuser:
        # To give a schema to a role, and to become it, one has to be a member.
        script += [f"grant {owner(service)} to current_user" for service in services]
    script += ["revoke all on schema public from public", *_admissions(database, services)]
    for service in services:
        script += _rights(service)
    for role in filter(verifiers.__contains__, wanted):
        script.append(f"alter role {role} login password '{verifiers[role]}'")
    await connection.execute(";\n".join(script))


def _admissions(database: str, services: Sequence[str]) -> list[str]:
    name = database.replace('"', '""')
    script = [f'revoke all on database "{name}" from public']
    for service in services:
        script.append(f'grant connect, temporary on database "{name}" to {service}')
        script.append(f'grant connect on database "{name}" to {owner(service)}')
    return script


def _rights(service: str) -> list[str]:
    holder = owner(service)
    defaults = f"alter default privileges for role {holder} in schema {service} grant"
    return [
        f"create schema if not exists {service} authorization {holder}",
        f"revoke all on schema {service} from public",
        f"grant usage on schema {service} to {service}",
        f"{defaults} select, insert, update, delete on tables to {service}",
        f"{defaults} usage, select on sequences to {service}",
        f"alter role {service} set search_path = {service}",
        f"alter role {holder} set search_path = {service}",
        # A process that is paused in a transaction must not hold its locks for ever.
        f"alter role {service} set idle_in_transaction_session_timeout = '60s'",
    ]


def verifier(password: str, rounds: int = SCRAM_ROUNDS) -> str:
    """What the server keeps of a password (RFC 5803), made here so that its log never sees the
    password.
    """
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, rounds)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    encoded = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${rounds}:{encoded[0]}${encoded[1]}:{encoded[2]}"
