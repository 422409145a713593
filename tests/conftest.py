"""Fixtures for every test: one embedded PostgreSQL a session, a fresh migrated database a test."""

from __future__ import annotations

import gc
import logging
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import pytest
import structlog

from shared import log, tracebacks
from shared.postgres import EmbeddedPostgres
from tests.fakes import examples, kept_connections, known_types
from tests.fakes.databases import Databases, Template, found, template

pytest_plugins = ["tests.first_collects", "tests.under_way"]

_REPOSITORY = Path(__file__).parent.parent
# Tests lose nothing in a crash; what is promised about crashes is tested on servers of its own.
_MEMORY_BYTES = 4 * 1024**3
_FAST = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    # Nobody reads the log of what lies in memory: pages in it need not be small.
    "wal_compression": "off",
}


def pytest_configure(config: pytest.Config) -> None:
    """Temporary files in memory where there is room: each database is a thousand files."""
    examples.register()
    known_types.remember()
    folder = Path("/dev/shm")
    if os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > _MEMORY_BYTES:
        os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    # Who has run Sonic from this folder has a home in it: tests neither read nor write it.
    home = os.environ["SONIC_HOME"] = tempfile.mkdtemp(prefix="sonic-home-")
    # This one by its path: what the variable says at the end may be somebody's own.
    config.add_cleanup(partial(shutil.rmtree, home, ignore_errors=True))


def pytest_collectstart() -> None:
    """Collecting makes much and leaves nothing behind: a tenth of its time went into looking."""
    gc.disable()


def pytest_collection_finish() -> None:
    """What is collected stays until the end: no garbage collection need look at it again."""
    gc.collect()
    gc.freeze()
    # A twentieth of the time went into looking at what is young; memory of a run grows by some MB.
    gc.set_threshold(50_000, 20, 50)
    gc.enable()


@pytest.fixture(autouse=True)
def log_of_this_test() -> Iterator[None]:
    """Plain lines on standard output, whatever an earlier test configured or bound; traces as text,
    since the pictures that structlog draws of them take seconds.
    """
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    structlog.reset_defaults()
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            structlog.processors.ExceptionRenderer(tracebacks.text),
            structlog.processors.KeyValueRenderer(key_order=["level", "event"]),
        ]
    )
    log.rebind({})
    yield
    root.handlers[:], root.level = handlers, level


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
async def system_template(postgres: EmbeddedPostgres) -> AsyncIterator[Template]:
    """Roles, schemas and tables of every service that has migrations."""
    kept_connections.keep()
    async with template(postgres.url, found(_REPOSITORY / "services")) as made:
        yield made


@pytest.fixture
async def databases(system_template: Template) -> AsyncIterator[Databases]:
    """A database of this test alone: .url(service), .owner_url(service), .admin_url."""
    async with system_template.copy() as copy:
        yield copy


@pytest.fixture
def connections_close() -> Iterator[None]:
    """Whoever closes a connection of a pool closes it; others keep theirs for the next test."""
    with kept_connections.none_kept():
        yield
