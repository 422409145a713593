"""A disk of backups that is not mounted: said as that, and nothing is written to the bare place."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.cli.backup.schedule import Backups
from services.cli.backup.take import take_usual
from services.cli.doctor import _backups
from services.cli.plan import Plan
from services.cli.status import _room
from shared.backup_files import name_of
from shared.backup_place import MARK, remember, trouble
from shared.clock import PushedClock
from shared.errors import FailedPrecondition

NOW = datetime.now(UTC).replace(microsecond=0)
NOWHERE = "postgresql://x:y@127.0.0.1:1/sonic"


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """A home, and a disk that a backup went to."""
    for name in ("home", "disk"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("SONIC_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SONIC_BACKUP_FOLDER", str(tmp_path / "disk"))
    made = Plan()
    (made.backup_folder / name_of(NOW)).write_bytes(b"")
    remember(made.backup_folder, made.home, NOW)
    return made


def _unmounted(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))
    folder.mkdir()


def test_the_disk_that_the_last_backup_went_to_is_known_again(plan: Plan) -> None:
    folder, home = plan.backup_folder, plan.home
    assert trouble(folder, home) == ""
    _unmounted(folder)
    assert trouble(folder, home) == (
        f"{folder} is not the folder that it was when the last backup went to it on"
        f" {NOW:%Y-%m-%d %H:%M} UTC: mount its disk; if this is a new one, say so once by"
        f" `sonic backup --to {folder}`"
    )
    folder.rmdir()
    assert f"{folder} is not there" in trouble(folder, home)
    folder.with_name("elsewhere").rename(folder)
    assert trouble(folder, home) == ""


def test_another_disk_at_the_same_place_is_another_one(plan: Plan) -> None:
    _unmounted(plan.backup_folder)
    (plan.backup_folder / MARK).write_text("of another home")
    assert "mount its disk" in trouble(plan.backup_folder, plan.home)


def test_of_a_folder_that_no_backup_went_to_nothing_is_known(plan: Plan) -> None:
    assert trouble(plan.home.parent / "new", plan.home) == ""
    # Beside the database it is on no disk of its own.
    remember(plan.home / "backups", plan.home, NOW)
    assert trouble(plan.home / "backups", plan.home) == ""
    (plan.home / "backup-place.json").write_text("{torn")
    assert trouble(plan.backup_folder, plan.home) == ""


async def test_the_scheduled_backup_fails_with_the_fix_and_writes_nothing(plan: Plan) -> None:
    _unmounted(plan.backup_folder)
    said = list[str]()

    async def taken() -> Path:
        return (await take_usual(NOWHERE, plan))[0]

    folder = plan.backup_folder
    backups = Backups(taken, folder, said.append, PushedClock(NOW), hours=24, kept=2)
    assert await backups._turn() == 600
    assert "backup: failed:" in said[-1] and "mount its disk" in said[-1]
    assert list(folder.iterdir()) == []
    folder.rmdir()
    with pytest.raises(FailedPrecondition) as caught:
        await taken()
    assert caught.value.reason == "BACKUP_FOLDER_UNMOUNTED" and not folder.exists()


async def test_a_folder_that_cannot_be_read_is_said_and_tried_again(plan: Plan) -> None:
    said: list[str] = []
    # A name that no file system takes fails as a disk does that dropped out.
    gone = plan.backup_folder / ("x" * 300)

    async def taken() -> Path:
        raise AssertionError("nothing is known of what is there")

    backups = Backups(taken, gone, said.append, PushedClock(NOW), hours=24, kept=2)
    assert await backups._turn() == 600
    assert "backup: failed:" in said[-1]
    assert "cannot be read (File name too long)" in trouble(gone, plan.home)
    there = plan.model_copy(update={"sonic_backup_folder": gone})
    assert _backups(there).verdict == "problem"


def test_doctor_and_status_say_it(plan: Plan) -> None:
    _unmounted(plan.backup_folder)
    found = _backups(plan)
    assert found.verdict == "problem" and "is not the folder that it was" in found.found
    assert found.fix.startswith("mount its disk")
    assert any(words.startswith("No backup is taken:") for words in _room(None))


def test_doctor_says_when_the_named_folder_is_on_the_disk_it_is_to_save(plan: Plan) -> None:
    # Both are folders of one disk here.
    found = _backups(plan)
    assert (found.verdict, "breaks with it" in found.found) == ("warning", True)
