"""Backups as files: whole or not there, proven before anything is taken out; when one is due."""

from __future__ import annotations

import io
import stat
import subprocess
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from services.cli.backup.archive import (
    LedgerHead,
    Manifest,
    pack,
    read_manifest,
    unpack,
)
from services.cli.backup.programs import _split
from services.cli.backup.schedule import Backups, forget, overdue
from services.cli.backup.take import _copy, take, words_of_missing
from services.cli.backup.working import working_folder
from shared.backup_files import backups_in, name_of, taken_time
from shared.clock import PushedClock
from shared.errors import FailedPrecondition

NOW = datetime(2026, 11, 29, 3, tzinfo=UTC)
MANIFEST = Manifest(
    sonic_version="0.2.0",
    taken_time=NOW,
    postgres_version=18,
    revisions={"alerts": "0103"},
    ledger_head=LedgerHead(sequence=7, hash="ab"),
    rows={"alerts.ledger": 7},
)


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    (source / "home").mkdir(parents=True)
    (source / "database.dump").write_bytes(b"dump" * 10_000)
    (source / "home" / "ledger.key").write_text("key")
    file = tmp_path / name_of(NOW)
    pack(source, MANIFEST, file)
    return file


def reason(file: Path, to: Path) -> str:
    to.mkdir()
    with pytest.raises(FailedPrecondition) as caught:
        unpack(file, to)
    return caught.value.reason


def test_what_was_packed_comes_out_again_for_its_owners_eyes(packed: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    manifest = unpack(packed, out)
    assert (out / "database.dump").read_bytes() == b"dump" * 10_000
    assert (out / "home" / "ledger.key").read_text() == "key"
    assert manifest.ledger_head == MANIFEST.ledger_head
    for file in (packed, out / "database.dump", out / "home" / "ledger.key"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert read_manifest(packed) == manifest
    assert taken_time(packed) == NOW


def test_every_flipped_byte_of_a_member_and_every_cut_is_found(
    packed: Path, tmp_path: Path
) -> None:
    whole = packed.read_bytes()
    at = whole.index(b"dumpdump")
    for place, bad in enumerate(
        (whole[:at] + b"X" + whole[at + 1 :], whole[: at + 100], whole[:100], b"", b"no tar" * 999)
    ):
        packed.write_bytes(bad)
        assert reason(packed, tmp_path / f"out{place}") in ("BACKUP_DAMAGED", "BACKUP_UNREADABLE")
    assert reason(tmp_path / "gone.tar", tmp_path / "gone") == "BACKUP_UNREADABLE"


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "a/../../evil"])
def test_a_member_never_leaves_its_folder(packed: Path, tmp_path: Path, name: str) -> None:
    manifest = read_manifest(packed)
    members = dict(manifest.members) | {name: manifest.members["home/ledger.key"]}
    with tarfile.open(packed, "w") as tar:
        text = manifest.model_copy(update={"members": members}).model_dump_json().encode()
        for one, content in (("manifest.json", text), (name, b"key")):
            info = tarfile.TarInfo(one)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    assert reason(packed, tmp_path / "out") == "BACKUP_UNREADABLE"
    assert not (tmp_path / "evil").exists()


def test_the_newest_are_kept_and_other_files_are_left_alone(tmp_path: Path) -> None:
    files = [tmp_path / name_of(NOW + timedelta(days=day)) for day in range(5)]
    for file in (*files, tmp_path / "mine.tar"):
        file.write_bytes(b"")
    forget(tmp_path, 2, NOW + timedelta(days=9))
    assert backups_in(tmp_path) == files[-2:]
    assert (tmp_path / "mine.tar").exists()


def test_a_backup_is_overdue_after_two_intervals_and_never_when_none_are_wanted(
    tmp_path: Path,
) -> None:
    assert not overdue(tmp_path, 24, NOW)
    (tmp_path / name_of(NOW)).write_bytes(b"")
    assert not overdue(tmp_path, 24, NOW + timedelta(hours=48))
    assert "2.5 days" in overdue(tmp_path, 24, NOW + timedelta(hours=60))
    assert not overdue(tmp_path, 0, NOW + timedelta(hours=60))


def test_a_system_without_any_backup_says_so_once_there_should_be_one(tmp_path: Path) -> None:
    later = NOW + timedelta(hours=60)
    assert "no backup of what is kept for 2.5 days" in overdue(tmp_path, 24, later, NOW)
    assert not overdue(tmp_path, 24, NOW + timedelta(hours=47), NOW)
    assert not overdue(tmp_path, 0, later, NOW)


async def test_names_of_a_clock_that_was_wrong_keep_no_backup_from_being_taken_or_kept(
    tmp_path: Path,
) -> None:
    wrong = [tmp_path / name_of(NOW + timedelta(days=1_000 + day)) for day in range(3)]
    for file in wrong:
        file.write_bytes(b"")
    clock = PushedClock(NOW)

    async def take() -> Path:
        file = tmp_path / name_of(clock.now())
        file.write_bytes(b"")
        return file

    backups = Backups(take, tmp_path, lambda _: None, clock, hours=24, kept=2)
    for _ in range(3):
        await backups._turn()
        clock.advance(24 * 3600)
    right = [name_of(NOW + timedelta(days=day)) for day in (1, 2)]
    assert [file.name for file in backups_in(tmp_path)] == [*right, *(file.name for file in wrong)]


async def test_a_failure_of_any_kind_ends_no_later_backup(tmp_path: Path) -> None:
    said = list[str]()

    async def take() -> Path:
        raise asyncpg.ConnectionDoesNotExistError("connection was closed")

    backups = Backups(take, tmp_path, said.append, PushedClock(NOW), hours=24, kept=2)
    assert await backups._turn() == 600
    assert "connection was closed" in said[-1]


async def test_a_database_that_is_gone_is_a_failure_with_a_reason(tmp_path: Path) -> None:
    with pytest.raises(FailedPrecondition) as caught:
        await take("postgresql://x:y@127.0.0.1:1/sonic", tmp_path / "home", tmp_path / "to")
    assert caught.value.reason == "BACKUP_FAILED"
    assert list((tmp_path / "to").iterdir()) == []


async def test_what_a_killed_one_left_is_removed_and_what_works_now_is_not(tmp_path: Path) -> None:
    begin = (
        "import asyncio, os\n"
        "from pathlib import Path\n"
        "from services.cli.backup.working import working_folder\n"
        "async def begin():\n"
        f"    async with working_folder(Path({str(tmp_path)!r}), '.backup-') as folder:\n"
        "        (folder / 'database.dump').write_text('secret')\n"
        "        os._exit(9)\n"
        "asyncio.run(begin())\n"
    )
    assert subprocess.run([sys.executable, "-c", begin], check=False).returncode == 9
    (left,) = tmp_path.iterdir()
    async with working_folder(tmp_path, ".backup-") as first:
        assert not left.exists()
        async with working_folder(tmp_path, ".backup-") as second:
            assert first.is_dir()
            assert second.is_dir()
            assert stat.S_IMODE(second.parent.stat().st_mode) == 0o700
    assert list(tmp_path.iterdir()) == []


def test_a_sealed_file_that_is_not_here_is_named_and_one_elsewhere_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALERTS_LEDGER_FOLDER", str(tmp_path / "sealed"))
    (tmp_path / "sealed").mkdir()
    (tmp_path / "sealed" / "1-2").write_text("rows")
    missing = _copy(tmp_path / "home", tmp_path / "to", ["1-2", "3-4"])
    assert (tmp_path / "to" / "ledger" / "1-2").read_text() == "rows"
    manifest = MANIFEST.model_copy(update={"missing": missing})
    assert "1 sealed files of the ledger are not in it, as 3-4" in words_of_missing(manifest)
    assert not words_of_missing(MANIFEST)


def test_two_that_are_packed_into_one_name_at_once_do_not_mix(tmp_path: Path) -> None:
    to = tmp_path / "one.tar"
    sources = [tmp_path / f"source{number}" for number in range(4)]
    for number, source in enumerate(sources):
        source.mkdir()
        (source / "database.dump").write_bytes(b"x" * number * 2_000_000)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda source: pack(source, MANIFEST, to), sources))
    unpack(to, tmp_path / "out")


@pytest.mark.parametrize(
    "url", ["postgresql://ann:s%40crt@h/d", "postgresql://h/d?user=ann&password=s%40crt"]
)
def test_a_password_is_in_no_argument(url: str) -> None:
    address, environment = _split(url)
    assert "crt" not in address
    assert environment["PGPASSWORD"] == "s@crt"


async def test_one_is_taken_when_the_last_is_old_and_a_failure_is_said_and_tried_again(
    tmp_path: Path,
) -> None:
    clock, said, fails = PushedClock(NOW), list[str](), [True]

    async def take() -> Path:
        if fails.pop() if fails else False:
            raise FailedPrecondition("NO_ROOM", "no room")
        file = tmp_path / name_of(clock.now())
        file.write_bytes(b"")
        return file

    backups = Backups(take, tmp_path, said.append, clock, hours=24, kept=2)
    assert await backups._turn() == 600
    assert "no room" in said[-1]
    assert await backups._turn() == 3_600
    assert len(backups_in(tmp_path)) == 1
    clock.advance(23.5 * 3600)
    assert await backups._turn() == 1_800
    clock.advance(1_800)
    for _ in range(3):
        await backups._turn()
        clock.advance(24 * 3600)
    assert len(backups_in(tmp_path)) == 2
