"""`sonic db init`: whose passwords the roles get, and who keeps theirs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from services.cli import database
from services.cli.plan import SERVICES, Plan
from shared.database import roles
from shared.database.address import as_role
from shared.errors import InvalidArgument
from tests.fakes.databases import Databases, password


@pytest.fixture
async def admin_url(databases: Databases) -> AsyncIterator[str]:
    """Roles belong to the whole server: the other tests get their logins back."""
    yield databases.admin_url
    await roles.initialise(databases.admin_url, list(SERVICES), {name: password(name) for name in SERVICES})


async def user(url: str) -> str:
    connection = await asyncpg.connect(url)
    try:
        return str(await connection.fetchval("select current_user"))
    finally:
        await connection.close()


@pytest.fixture
def secrets_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, admin_url: str) -> Path:
    folder = tmp_path / "secrets"
    folder.mkdir()
    for service in SERVICES:
        url = as_role(admin_url, service, f"p@ss/{service}")
        (folder / f"{service}_database_url").write_text(f"{url}\n")
    monkeypatch.setenv("SONIC_SECRETS_DIR", str(folder))
    return folder


async def test_a_role_gets_the_password_of_the_url_its_service_is_given(
    admin_url: str, secrets_folder: Path, tmp_path: Path
) -> None:
    urls = await database.prepare(admin_url, tmp_path / "home")
    for service in SERVICES:
        assert await user((secrets_folder / f"{service}_database_url").read_text().strip()) == service
        assert await user(urls[service]) == service


async def test_nothing_is_written_when_every_password_is_given(
    admin_url: str, secrets_folder: Path, tmp_path: Path
) -> None:
    await database.prepare(admin_url, tmp_path / "home")
    assert not (tmp_path / "home").exists()


async def test_the_passwords_nobody_gave_are_made_and_kept(
    admin_url: str, secrets_folder: Path, tmp_path: Path
) -> None:
    (secrets_folder / "price_database_url").unlink()
    first = await database.prepare(admin_url, tmp_path / "home")
    assert await database.prepare(admin_url, tmp_path / "home") == first
    assert await user(first["price"]) == "price"
    assert (tmp_path / "home" / "roles.json").stat().st_mode & 0o777 == 0o600


async def test_bringing_the_schemas_up_to_date_changes_no_login(admin_url: str) -> None:
    await database.bring_up_to_date(admin_url, {})
    assert await user(as_role(admin_url, "price", password("price"))) == "price"


@pytest.mark.parametrize(
    "url", ["postgresql://admin:x@host/sonic", "postgresql://price@host/sonic", "nonsense"]
)
async def test_a_url_of_another_role_or_without_a_password_is_refused(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRICE_DATABASE_URL", url)
    with pytest.raises(InvalidArgument):
        await database.prepare("postgresql://nobody@127.0.0.1:1/none", tmp_path)


async def test_the_administrators_url_may_be_a_mounted_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "database_url").write_text("postgresql://admin:x@host/sonic\n")
    monkeypatch.setenv("SONIC_SECRETS_DIR", str(tmp_path))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    async with database.administrator_url(Plan(sonic_home=tmp_path)) as url:
        assert url == "postgresql://admin:x@host/sonic"
