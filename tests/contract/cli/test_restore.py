"""A restore that fails leaves the home as it was, and nothing of itself."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from services.cli.backup.archive import Manifest, pack
from services.cli.backup.restore import _take_place, fill_from
from services.cli.plan import Plan
from shared import tokens
from shared.clock import SystemClock
from shared.errors import FailedPrecondition

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(autouse=True)
def embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "ALERTS_LEDGER_FOLDER", "ALERTS_LEDGER_KEY"):
        monkeypatch.delenv(name, raising=False)


def backup(folder: Path, dump: bytes = b"no dump") -> Path:
    """Whole by its manifest, with a dump that no database takes."""
    source = folder / "source"
    (source / "home" / "ledger").mkdir(parents=True)
    (source / "database.dump").write_bytes(dump)
    (source / "home" / "ledger.key").write_text("the backup's")
    (source / "home" / "ledger" / "1-2.jsonl").write_text("sealed")
    (source / "home" / tokens.FILE_NAME).write_text('{"tokens": []}')
    manifest = Manifest(
        sonic_version="0.2.0",
        taken_time=SystemClock().now(),
        postgres_version=18,
        revisions={"alerts": "0103"},
        ledger_head=None,
        rows={},
    )
    file = folder / "one.tar"
    pack(source, manifest, file)
    return file


def content(home: Path) -> dict[str, str]:
    return {
        path.relative_to(home).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in home.rglob("*")
        if path.is_file() and path.name != "lock"
    }


async def restored(home: Path, file: Path, *, replace: bool) -> str:
    with pytest.raises(FailedPrecondition) as caught:
        await fill_from(Plan(sonic_home=home), file, lambda _: None, replace=replace)
    return caught.value.reason


async def test_a_database_that_cannot_be_filled_leaves_everything_where_it_was(
    tmp_path: Path,
) -> None:
    file, home = backup(tmp_path), tmp_path / "home"
    (home / "postgres" / "postgres" / "data").mkdir(parents=True)
    (home / "postgres" / "postgres" / "data" / "PG_VERSION").write_text("18")
    (home / "ledger.key").write_text("mine")
    before = content(home)
    assert await restored(home, file, replace=False) == "HOME_NOT_EMPTY"
    assert await restored(home, file, replace=True) == "BACKUP_FAILED"
    assert content(home) == before
    assert {path.name for path in home.iterdir()} == {"postgres", "ledger.key"}


async def test_an_empty_home_is_empty_again_so_that_it_can_be_tried_again(tmp_path: Path) -> None:
    file, home = backup(tmp_path), tmp_path / "home"
    for _ in range(2):
        assert await restored(home, file, replace=False) == "BACKUP_FAILED"
        assert list(home.iterdir()) == []


async def test_a_sealed_file_elsewhere_is_never_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALERTS_LEDGER_FOLDER", str(tmp_path / "sealed"))
    (tmp_path / "sealed").mkdir()
    (tmp_path / "sealed" / "1-2.jsonl").write_text("mine")
    home = tmp_path / "home"
    assert await restored(home, backup(tmp_path), replace=True) == "LEDGER_FOLDER_NOT_EMPTY"
    assert (tmp_path / "sealed" / "1-2.jsonl").read_text() == "mine"


def places(folder: Path) -> tuple[Path, Path]:
    made, home = folder / "made", folder / "home"
    for place, words in ((made, "new"), (home, "old")):
        (place / "postgres").mkdir(parents=True)
        for name in ("postgres/password", "ledger.key", tokens.FILE_NAME):
            (place / name).write_text(words)
    return made, home


def test_who_may_ask_stays_as_it_is_today(tmp_path: Path) -> None:
    made, home = places(tmp_path)
    aside = _take_place(made, home, embedded=True)
    assert aside is not None
    assert (aside / "ledger.key").read_text() == "old"
    assert (home / "postgres" / "password").read_text() == "new"
    assert (home / tokens.FILE_NAME).read_text() == "old"


def test_a_move_that_fails_takes_back_those_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, home = places(tmp_path)
    before, rename = content(tmp_path), Path.rename

    def refused(source: Path, target: Path) -> Path:
        if source == made / "ledger.key":
            raise OSError(5, "Input/output error")
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(OSError, match="Input"):
        _take_place(made, home, embedded=True)
    assert content(tmp_path) == before
