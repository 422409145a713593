"""`sonic db init`: whose passwords the roles get, and who keeps theirs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr

from services.cli import database, doctor
from services.cli.plan import SERVICES, Plan
from shared.database import roles
from shared.database.address import as_role, with_database
from shared.database.pool import Database
from shared.errors import FailedPrecondition, InvalidArgument, Unavailable
from shared.postgres import EmbeddedPostgres
from tests.fakes.databases import Databases, password


@pytest.fixture
async def admin_url(databases: Databases) -> AsyncIterator[str]:
    """Roles belong to the whole server: the other tests get their logins back."""
    yield databases.admin_url
    await roles.initialise(
        databases.admin_url, list(SERVICES), {name: password(name) for name in SERVICES}
    )


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


def somebodys(url: str) -> database.Opened:
    """A server that is not this home's own."""
    return database.Opened(url, None)


async def without_password(admin_url: str, *names: str) -> None:
    connection = await asyncpg.connect(admin_url)
    for name in names:
        await connection.execute(f"alter role {name} nologin password null")
    await connection.close()


async def test_sonic_db_init_gives_a_role_the_password_of_the_url_its_service_is_given(
    admin_url: str, secrets_folder: Path, tmp_path: Path
) -> None:
    urls = await database.prepare(somebodys(admin_url), tmp_path / "home", replace_given=True)
    for service in SERVICES:
        assert (
            await user((secrets_folder / f"{service}_database_url").read_text().strip()) == service
        )
        assert await user(urls[service]) == service


async def test_nothing_is_written_when_every_password_is_given(
    admin_url: str, secrets_folder: Path, tmp_path: Path
) -> None:
    await database.prepare(somebodys(admin_url), tmp_path / "home", replace_given=True)
    assert not (tmp_path / "home").exists()


async def test_the_passwords_nobody_gave_are_made_and_kept(
    admin_url: str, secrets_folder: Path, tmp_path: Path
) -> None:
    (secrets_folder / "price_database_url").unlink()
    await without_password(admin_url, "price")
    opened = somebodys(admin_url)
    first = await database.prepare(opened, tmp_path / "home", replace_given=True)
    assert await database.prepare(opened, tmp_path / "home") == first
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
        await database.prepare(somebodys("postgresql://nobody@127.0.0.1:1/none"), tmp_path)


async def test_the_administrators_url_may_be_a_mounted_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "database_url").write_text("postgresql://admin:x@host/sonic\n")
    monkeypatch.setenv("SONIC_SECRETS_DIR", str(tmp_path))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    async with database.administrator_url(Plan(sonic_home=tmp_path)) as url:
        assert url == "postgresql://admin:x@host/sonic"


async def test_a_second_home_leaves_the_passwords_alone_and_says_which_it_needs(
    admin_url: str, tmp_path: Path
) -> None:
    await without_password(admin_url, *SERVICES)
    first = await database.prepare(somebodys(admin_url), tmp_path / "first")
    second = tmp_path / "second"
    with pytest.raises(InvalidArgument) as refused:
        await database.prepare(somebodys(admin_url), second)
    assert refused.value.reason == "BAD_SETTINGS"
    assert (
        f"copy roles.json of the home that made them to {second / 'roles.json'}"
        in refused.value.message
    )
    assert "PRICE_DATABASE_URL" in refused.value.message
    for service in SERVICES:
        assert await user(first[service]) == service
    (second / "roles.json").write_text((tmp_path / "first" / "roles.json").read_text())
    assert await database.prepare(somebodys(admin_url), second) == first


async def test_a_given_url_with_another_password_is_named_and_sets_nothing(
    admin_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await without_password(admin_url, *SERVICES)
    first = await database.prepare(somebodys(admin_url), tmp_path / "home")
    monkeypatch.setenv("XCOM_DATABASE_URL", as_role(admin_url, "xcom", "another"))
    with pytest.raises(
        InvalidArgument, match=r"XCOM_DATABASE_URL: the database has another password"
    ):
        await database.prepare(somebodys(admin_url), tmp_path / "home")
    assert await user(first["xcom"]) == "xcom"


async def test_a_home_whose_own_database_lost_its_passwords_makes_new_ones(
    postgres: EmbeddedPostgres, admin_url: str, tmp_path: Path
) -> None:
    urls = await database.prepare(database.Opened(admin_url, postgres), tmp_path / "home")
    assert await user(urls["price"]) == "price"


async def test_a_refused_login_is_unavailable_with_the_words_of_the_server(admin_url: str) -> None:
    broken = Database(as_role(admin_url, "price", "changed meanwhile"))
    for ask in (broken.ping, lambda: broken.fetch("select 1")):
        with pytest.raises(Unavailable) as refused:
            await ask()
        assert refused.value.reason == "DATABASE_LOGIN_REFUSED"
        assert 'password authentication failed for user "price"' in refused.value.message
        assert "changed meanwhile" not in refused.value.message
    gone = Database(with_database(as_role(admin_url, "price", password("price")), "no_such_place"))
    with pytest.raises(Unavailable, match="no_such_place"):
        await gone.ping()
    await broken.stop()
    await gone.stop()


async def test_doctor_names_the_role_whose_login_is_refused(
    admin_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRICE_DATABASE_URL", as_role(admin_url, "price", "another"))
    found = await doctor._database(Plan(sonic_home=tmp_path, database_url=SecretStr(admin_url)))
    assert [(one.what, one.verdict) for one in found] == [
        ("DATABASE_URL", "ok"),
        ("login of price", "problem"),
    ]
    assert "password authentication failed" in found[1].found
    assert "another" not in found[1].found


async def test_an_administrator_who_is_refused_is_told_in_one_sentence(
    admin_url: str, tmp_path: Path
) -> None:
    url = as_role(admin_url, "stranger", "x")
    with pytest.raises(
        FailedPrecondition, match='DATABASE_URL: password authentication failed for user "str'
    ):
        await database.prepare(somebodys(url), tmp_path)
