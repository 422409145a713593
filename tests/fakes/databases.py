"""Databases for tests: a template migrated once, and a fresh copy of it for each test."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg

from shared.database import migrations, roles
from shared.database.address import as_role, with_database


@dataclass(frozen=True)
class Databases:
    """One database with every service's roles, schema and tables."""

    admin_url: str
    services: tuple[str, ...]
    broken: Mapping[str, Exception] = field(default_factory=dict)

    def url(self, service: str) -> str:
        """For the role the service runs as."""
        return as_role(self._working(service), service, password(service))

    def owner_url(self, service: str) -> str:
        """For the role that owns the schema."""
        holder = roles.owner(service)
        return as_role(self._working(service), holder, password(holder))

    def _working(self, service: str) -> str:
        if service in self.broken:
            raise AssertionError(f"the migrations of {service} fail") from self.broken[service]
        assert service in self.services, (
            f"services/{service}/migrations is not there, {self.services} are"
        )
        return self.admin_url


@dataclass(frozen=True)
class Template:
    """A migrated database nobody is connected to, to be copied."""

    server_url: str
    name: str
    services: tuple[str, ...]
    broken: Mapping[str, Exception]
    administrator: asyncpg.Connection[asyncpg.Record]

    @asynccontextmanager
    async def copy(self) -> AsyncIterator[Databases]:
        """A database of its own, dropped afterwards even when somebody is still connected."""
        name = f"test_{uuid.uuid4().hex[:16]}"
        # Without the log of every page: a sixth of the time.
        await self.administrator.execute(
            f"create database {name} template {self.name} strategy file_copy"
        )
        try:
            # Rights on schemas and tables are copied, those on the database itself are not.
            await roles.admit(self.administrator, name, self.services)
            yield Databases(with_database(self.server_url, name), self.services, self.broken)
        finally:
            await self.administrator.execute(f"drop database {name} with (force)")


def password(role: str) -> str:
    """Every test server is on loopback and gone in a minute."""
    return f"{role}-password"


def found(services_folder: Path) -> dict[str, Path]:
    """The services that have a migration history."""
    return {folder.parent.name: folder for folder in sorted(services_folder.glob("*/migrations"))}


@asynccontextmanager
async def template(
    server_url: str, histories: Mapping[str, Path], name: str = "template_house"
) -> AsyncIterator[Template]:
    """Make the template; one service's broken migration spoils only the tests that ask for that
    service.
    """
    services = tuple(histories)
    administrator = await asyncpg.connect(server_url)
    try:
        await administrator.execute(f"create database {name}")
        url = with_database(server_url, name)
        everybody = [role for service in services for role in (service, roles.owner(service))]
        # Their passwords are in this file: a login need not be hard to guess, and a test has
        # dozens.
        await roles.initialise(
            url, services, {role: password(role) for role in everybody}, scram_rounds=1
        )
        broken: dict[str, Exception] = {}
        for service, history in histories.items():
            try:
                await migrations.upgrade(url, service, history)
            except Exception as problem:  # noqa: BLE001 - whatever a migration raises is for that service's tests
                broken[service] = problem
        yield Template(server_url, name, services, broken, administrator)
    finally:
        await administrator.close()
