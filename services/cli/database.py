"""The house's Postgres: the embedded one or the one named, with roles, schemas and migrations in place."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from services.cli.plan import SERVICES, SERVICES_FOLDER, Plan
from shared.database.address import as_role
from shared.database.migrations import upgrade_all
from shared.database.roles import initialise
from shared.postgres import EmbeddedPostgres


def migrations_folder(service: str) -> Path:
    """Where a service's history lies."""
    return SERVICES_FOLDER / service / "migrations"


@asynccontextmanager
async def administrator_url(plan: Plan) -> AsyncIterator[str]:
    """The administrator's URL while the database runs; the embedded one stops with the block."""
    if plan.database_url is not None:
        yield plan.database_url.get_secret_value()
        return
    embedded = EmbeddedPostgres(plan.home / "postgres")
    url = await asyncio.to_thread(embedded.start)
    try:
        yield url
    finally:
        await asyncio.to_thread(embedded.stop)


async def prepare(url: str, home: Path) -> dict[str, str]:
    """Bring roles, schemas and migrations up to date; answers each service's own URL."""
    passwords = _passwords(home)
    await initialise(url, list(SERVICES), passwords)
    await upgrade_all(url, {service: migrations_folder(service) for service in SERVICES})
    return {service: as_role(url, service, passwords[service]) for service in SERVICES}


def _passwords(home: Path) -> dict[str, str]:
    """A password per running role, made once and kept readable for the owner alone."""
    home.mkdir(parents=True, exist_ok=True)
    file = home / "roles.json"
    kept: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
    missing = [service for service in SERVICES if service not in kept]
    if missing:
        kept |= {service: secrets.token_urlsafe(24) for service in missing}
        file.touch(mode=0o600)
        file.chmod(0o600)
        file.write_text(json.dumps(kept, indent=1))
    return kept

