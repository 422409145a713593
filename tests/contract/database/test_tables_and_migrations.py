"""The system as it is: every service's history leads to its tables, and each test has them to
itself.
"""

from __future__ import annotations

from pathlib import Path

import asyncpg
import pytest

from shared.database import history, migrations
from tests.fakes.databases import Databases, found

_HISTORIES = found(Path(__file__).parents[3] / "services")


@pytest.mark.parametrize("service", sorted(_HISTORIES))
async def test_the_tables_of_a_service_are_what_its_history_makes(
    databases: Databases, service: str
) -> None:
    await migrations.check(databases.owner_url(service), service, _HISTORIES[service])


@pytest.mark.parametrize("service", sorted(_HISTORIES))
async def test_a_service_lives_in_its_own_schema(databases: Databases, service: str) -> None:
    connection = await asyncpg.connect(databases.url(service))
    try:
        seen = await connection.fetchrow("select current_user, current_schema()")
        assert tuple(seen or ()) == (service, service)
    finally:
        await connection.close()


async def test_two_copies_of_a_template_share_nothing(samples: Databases) -> None:
    connection = await asyncpg.connect(samples.url("alpha"))
    try:
        assert await connection.fetchval("select count(*) from sample") == 0
        await connection.execute("insert into sample (wide) values (1)")
    finally:
        await connection.close()


async def test_the_next_copy_is_empty_again(samples: Databases) -> None:
    await test_two_copies_of_a_template_share_nothing(samples)


@pytest.mark.slow
def test_the_developers_command_drafts_and_checks(
    tmp_path: Path, histories: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "omega"
    (folder / "migrations").mkdir(parents=True)
    for name in ("env.py", "script.py.mako"):
        (folder / "migrations" / name).write_text((histories["alpha"] / name).read_text())
    assert history.main(["check", str(folder)]) == 1
    assert "sample" in capsys.readouterr().out
    assert history.main(["draft", str(folder), "first table"]) == 0
    assert "0001_first_table.py" in capsys.readouterr().out
    assert history.main(["check", str(folder)]) == 0
    assert history.main(["nonsense"]) == 2


async def test_the_urls_of_a_service_nobody_wrote_are_refused(samples: Databases) -> None:
    with pytest.raises(AssertionError, match="is not there"):
        samples.url("gamma")
