"""Backups as files: whole or not there, proven before anything is taken out; when one is due."""

from __future__ import annotations

import io
import stat
import tarfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.cli.backup.archive import (
    LedgerHead,
    Manifest,
    backups_in,
    name_of,
    pack,
    read_manifest,
    taken_time,
    unpack,
)
from services.cli.backup.schedule import Backups, forget, overdue
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
    forget(tmp_path, 2)
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
