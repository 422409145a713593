"""Two invented services with one table each, for tests of what every service relies on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.postgres import EmbeddedPostgres
from tests.fakes.databases import Databases, Template, template

ENV = '''"""Runs this history against the service's tables."""

from shared.database.migrations import run
from sqlalchemy import (
    BigInteger, Boolean, Column, DateTime, Double, Identity, Index, Integer, MetaData,
    SmallInteger, String,
    Table, func, text,
)

metadata = MetaData()
Table(
    "sample", metadata,
    Column("id", BigInteger, Identity(always=False), primary_key=True),
    Column("wide", BigInteger, nullable=False, server_default="0"),
    Column("middle", Integer, nullable=False, server_default="0"),
    Column("narrow", SmallInteger, nullable=False, server_default="0"),
    Column("real", Double, nullable=False, server_default=text("'NaN'")),
    Column("flag", Boolean, nullable=False, server_default=text("false")),
    Column("moment", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("name", String, nullable=True),
    Index("sample_by_wide", "wide", "id"),
)

run(metadata)
'''

FIRST = '''"""First table."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "sample",
        sa.Column("id", sa.BigInteger, sa.Identity(always=False), primary_key=True),
        sa.Column("wide", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("middle", sa.Integer, nullable=False, server_default="0"),
        sa.Column("narrow", sa.SmallInteger, nullable=False, server_default="0"),
        sa.Column("real", sa.Double, nullable=False, server_default=sa.text("'NaN'")),
        sa.Column("flag", sa.Boolean, nullable=False, server_default=sa.text("false")),
        sa.Column("moment", sa.DateTime(timezone=True), nullable=False,
        server_default=sa.func.now()),
        sa.Column("name", sa.String, nullable=True),
    )
    op.create_index("sample_by_wide", "sample", ["wide", "id"])
'''

TEMPLATE = '''"""${message}."""

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}
'''


def write_history(folder: Path) -> Path:
    """A service's migrations folder with one migration."""
    (folder / "versions").mkdir(parents=True)
    (folder / "env.py").write_text(ENV)
    (folder / "script.py.mako").write_text(TEMPLATE)
    (folder / "versions" / "0001_first_table.py").write_text(FIRST)
    return folder


@pytest.fixture(scope="session")
def histories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("samples")
    return {service: write_history(root / service / "migrations") for service in ("alpha", "beta")}


@pytest.fixture(scope="session")
async def sample_template(
    postgres: EmbeddedPostgres, histories: dict[str, Path]
) -> AsyncIterator[Template]:
    async with template(postgres.url, histories, "template_samples") as made:
        yield made


@pytest.fixture
async def samples(sample_template: Template) -> AsyncIterator[Databases]:
    """A database of this test alone with the services alpha and beta."""
    async with sample_template.copy() as copy:
        yield copy
