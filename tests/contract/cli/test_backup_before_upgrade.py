"""A new version saves what is there before it changes tables; nothing keeps it from starting."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.cli.backup.archive import read_manifest
from services.cli.backup.upgrade import before_upgrade
from services.cli.database import Opened
from services.cli.plan import Plan
from shared.backup_files import backups_in
from shared.postgres import EmbeddedPostgres
from tests.fakes.databases import Databases


async def test_the_tables_of_before_are_saved_where_backups_are_taken(
    databases: Databases, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    said: list[str] = []
    plan, opened = Plan(sonic_home=tmp_path), Opened(databases.admin_url, postgres)
    await before_upgrade(plan, opened, said.append)(["alerts", "price"])
    [file] = backups_in(plan.backup_folder)
    assert read_manifest(file).revisions.keys() >= {"alerts", "price"}
    assert "alerts, price" in said[0] and str(file) in said[1]


@pytest.mark.parametrize("hours", [24.0, 0.0])
async def test_a_database_of_somebody_else_or_without_backups_is_left_alone(
    databases: Databases, postgres: EmbeddedPostgres, tmp_path: Path, hours: float
) -> None:
    plan = Plan(sonic_home=tmp_path, sonic_backup_hours=hours)
    opened = Opened(databases.admin_url, None if hours else postgres)
    await before_upgrade(plan, opened, lambda _: None)(["alerts"])
    assert not plan.backup_folder.exists()


async def test_a_backup_that_fails_is_said_and_the_start_goes_on(
    databases: Databases, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    said: list[str] = []
    opened = Opened(databases.admin_url.replace("@", "-wrong@", 1), postgres)
    await before_upgrade(Plan(sonic_home=tmp_path), opened, said.append)(["alerts"])
    assert "none could be taken before the change" in said[-1]


async def test_a_disk_that_takes_no_backup_is_said_and_the_start_goes_on(
    databases: Databases, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    said: list[str] = []
    (tmp_path / "backups").write_text("no folder")
    opened = Opened(databases.admin_url, postgres)
    await before_upgrade(Plan(sonic_home=tmp_path), opened, said.append)(["alerts"])
    assert "none could be taken before the change" in said[-1]
