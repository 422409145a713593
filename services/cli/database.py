"""The system's Postgres: the embedded one or the one named, with roles, schemas and migrations in
place.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import asyncpg

from services.cli import privacy
from services.cli.plan import BAD_SETTINGS, SERVICES, SERVICES_FOLDER, Plan
from shared.config import word
from shared.database import roles
from shared.database.address import as_role, plain
from shared.database.migrations import Before, upgrade_all
from shared.database.roles import initialise
from shared.errors import FailedPrecondition, InvalidArgument, Unavailable
from shared.postgres import EmbeddedPostgres

ROLES_FILE = "roles.json"
WITHDRAWALS_TEST_ROLE = "withdrawals_test"


def migrations_folder(service: str) -> Path:
    """Where a service's history lies."""
    return SERVICES_FOLDER / service / "migrations"


def roles_of_services() -> dict[str, str]:
    """The role, and with it the schema, that each service works in: its name, but a test's own with
    WITHDRAWALS_TEST=1, so that neither reads nor writes touch the other's rows.
    """
    is_test = given("WITHDRAWALS_TEST").lower() in {"1", "true", "yes", "on"}
    test = {"withdrawals": WITHDRAWALS_TEST_ROLE} if is_test else {}
    return {service: test.get(service, service) for service in SERVICES}


@dataclass(frozen=True, slots=True)
class Opened:
    """A database that runs: the administrator's URL, and the server when it is ours."""

    url: str
    owned: EmbeddedPostgres | None


@asynccontextmanager
async def opened(plan: Plan) -> AsyncIterator[Opened]:
    """The database while the block runs; the embedded one stops with it."""
    if (
        named := plan.database_url.get_secret_value()
        if plan.database_url
        else given("DATABASE_URL")
    ):
        yield Opened(named, None)
        return
    privacy.make(plan.home)
    embedded = EmbeddedPostgres(plan.home / "postgres")
    try:
        # Given up half-way, it goes on in its thread until stop() ends it.
        yield Opened(await asyncio.to_thread(embedded.start), embedded)
    finally:
        await asyncio.to_thread(embedded.stop)


@asynccontextmanager
async def joined(plan: Plan) -> AsyncIterator[Opened]:
    """As opened(); an embedded one that another process runs in this home is used as it is."""
    named = plan.database_url or given("DATABASE_URL")
    if not named:
        with suppress(Unavailable):
            url = await asyncio.to_thread(EmbeddedPostgres(plan.home / "postgres").connect)
            yield Opened(url, None)
            return
    async with opened(plan) as found:
        yield found


@asynccontextmanager
async def administrator_url(plan: Plan) -> AsyncIterator[str]:
    """As opened(), for those who only need the URL."""
    async with opened(plan) as found:
        yield found.url


async def prepare(
    opened: Opened,
    home: Path,
    *,
    replace_given: bool = False,
    names: Mapping[str, str] | None = None,
    before: Before | None = None,
    leaves_newer: bool = False,
    is_apart: bool = False,
) -> dict[str, str]:
    """Bring roles, schemas and migrations up to date; answers each service's own URL. `names`: the
    roles of some services; of all as configured without it. `before`, `leaves_newer`, `is_apart`:
    see migrations.upgrade_all.

    A role that has a password keeps it: another system may be using it now. Only a database of this
    home alone gets the home's passwords, and with `replace_given` a role the one of its
    <SERVICE>_DATABASE_URL. InvalidArgument BAD_SETTINGS names the secrets that are missing here.
    """
    names = names or roles_of_services()
    passwords = {role: one for role, one in given_passwords().items() if role in names.values()}
    given_services = set(passwords)
    passwords |= _kept_passwords(home, [role for role in names.values() if role not in passwords])
    with _said("DATABASE_URL" if opened.owned is None else "the embedded PostgreSQL"):
        if replace_given:
            await initialise(
                opened.url, list(names.values()), {name: passwords[name] for name in given_services}
            )
        is_ours = opened.owned is not None
        await initialise(opened.url, list(names.values()), passwords, replace=is_ours)
        refused = await roles.refused(opened.url, passwords)
        if refused:
            raise InvalidArgument(BAD_SETTINGS, _missing(refused, given_services, home))
        folders = {role: migrations_folder(service) for service, role in names.items()}
        await upgrade_all(
            opened.url, folders, before=before, leaves_newer=leaves_newer, is_apart=is_apart
        )
    return {service: as_role(opened.url, role, passwords[role]) for service, role in names.items()}


async def bring_up_to_date(url: str, passwords: Mapping[str, str]) -> None:
    """Roles, schemas and migrations; a role without a password here keeps the login it has."""
    await initialise(url, list(SERVICES), passwords)
    await upgrade_all(url, {service: migrations_folder(service) for service in SERVICES})


def _missing(refused: Mapping[str, str], given_services: Collection[str], home: Path) -> str:
    """Which secrets another home has, and how they come here."""
    named = [service for service in refused if service in given_services]
    kept = [service for service in refused if service not in given_services]
    lines = ["the database has roles whose passwords another home made; they are left as they are"]
    if kept:
        urls = ", ".join(f"{service.upper()}_DATABASE_URL" for service in kept)
        lines.append(
            f"{', '.join(kept)}: copy roles.json of the home that made them to {home / ROLES_FILE} "
            f"(mode 0600), or set {urls}"
        )
    if named:
        urls = ", ".join(f"{service.upper()}_DATABASE_URL" for service in named)
        lines.append(
            f"{urls}: the database has another password; correct it, or set it with: sonic db init"
        )
    return "\n".join(lines)


@contextmanager
def _said(setting: str) -> Iterator[None]:
    """What a database of somebody else answers, as one sentence with the setting that leads to
    it."""
    try:
        yield
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        words = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FailedPrecondition("DATABASE_UNAVAILABLE", f"{setting}: {words}") from error


def given(variable: str) -> str:
    """A word of the environment or of a mounted file, found as a service finds its own; else "".

    InvalidArgument BAD_SETTINGS names it when its file cannot be read.
    """
    try:
        return word(variable, os.environ) or ""
    except (OSError, UnicodeDecodeError) as error:
        told = "it is no text" if isinstance(error, UnicodeDecodeError) else str(error)
        # Without its cause: an error of decoding carries what is in the file.
        raise InvalidArgument(
            BAD_SETTINGS,
            f"{variable} in SONIC_SECRETS_DIR cannot be read: {told}; mend that file, or set"
            f" {variable} in the environment",
        ) from None


def given_passwords() -> dict[str, str]:
    """Passwords of the services whose <SERVICE>_DATABASE_URL is given: somebody else made them."""
    urls = {service: given(f"{service.upper()}_DATABASE_URL") for service in SERVICES}
    names = roles_of_services()
    return {
        names[service]: _password(service, names[service], url)
        for service, url in urls.items()
        if url
    }


def known_passwords(home: Path) -> dict[str, str]:
    """The passwords given or kept here, as far as there are any; makes none."""
    kept = _kept(home / ROLES_FILE)
    known = roles_of_services().values()
    return {role: kept[role] for role in known if role in kept} | given_passwords()


def _password(service: str, role: str, url: str) -> str:
    parts = urlsplit(plain(url))
    if unquote(parts.username or "") != role or not parts.password:
        raise InvalidArgument(
            "WRONG_ROLE",
            f"{service.upper()}_DATABASE_URL must name the role {role} and its password: "
            f"postgresql://{role}:password@host/database",
        )
    return unquote(parts.password)


def _kept_passwords(home: Path, services: Iterable[str]) -> dict[str, str]:
    """A password per running role, made once and kept readable for the owner alone."""
    file = home / ROLES_FILE
    kept = _kept(file)
    wanted = list(services)
    missing = [service for service in wanted if service not in kept]
    if missing:
        kept |= {service: secrets.token_urlsafe(24) for service in missing}
        privacy.write(file, json.dumps(kept, indent=1))
    return {service: kept[service] for service in wanted}


def _kept(file: Path) -> dict[str, str]:
    """Empty when there is none. InvalidArgument BAD_SETTINGS when it cannot be read."""
    try:
        kept: dict[str, str] = json.loads(file.read_bytes()) if file.exists() else {}
    except (OSError, ValueError) as error:
        told = str(error) if isinstance(error, OSError) else "it is no JSON"
        raise InvalidArgument(
            BAD_SETTINGS,
            f"{file} cannot be read: {told}; mend it, or remove it where PostgreSQL is the embedded"
            " one: it is made anew",
        ) from None
    return kept
