"""Fixtures for every test: one embedded PostgreSQL a session, a fresh migrated database a test."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from shared.postgres import EmbeddedPostgres
from tests.fakes.databases import Databases, Template, found, template

_REPOSITORY = Path(__file__).parent.parent
# Tests lose nothing in a crash; what is promised about crashes is tested on servers of its own.
_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """One server for the session; `postgres.url` is the administrator's."""
    home = Path(tempfile.mkdtemp(prefix="sonic-test-"))
    # Open to the user the server runs as when the tests run as root.
    home.chmod(0o711)
    server = EmbeddedPostgres(home, settings=_FAST)
    server.start()
    yield server
    server.destroy()
    shutil.rmtree(home)


@pytest.fixture(scope="session")
async def house_template(postgres: EmbeddedPostgres) -> Template:
    """Roles, schemas and tables of every service that has migrations."""
    return await template(postgres.url, found(_REPOSITORY / "services"))


@pytest.fixture
async def databases(house_template: Template) -> AsyncIterator[Databases]:
    """A database of this test alone: .url(service), .owner_url(service), .admin_url."""
    async with house_template.copy() as copy:
        yield copy
