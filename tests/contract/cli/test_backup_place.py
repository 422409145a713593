"""A new disk for backups is taken for one once a person has named it."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.cli.backup.take import take_usual
from services.cli.plan import Plan
from shared.backup_files import backups_in
from shared.errors import FailedPrecondition
from tests.fakes.databases import Databases


@pytest.mark.slow
async def test_a_new_disk_is_said_once_by_naming_it(databases: Databases, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    folder = tmp_path / "disk"
    plan = Plan(sonic_home=tmp_path / "home", sonic_backup_folder=folder)
    first, _ = await take_usual(databases.admin_url, plan)
    folder.rename(tmp_path / "old")
    folder.mkdir()
    with pytest.raises(FailedPrecondition, match="mount its disk"):
        await take_usual(databases.admin_url, plan)
    assert backups_in(folder) == []
    await take_usual(databases.admin_url, plan, folder)
    second, _ = await take_usual(databases.admin_url, plan)
    assert backups_in(folder)[-1] == second and (tmp_path / "old" / first.name).exists()
