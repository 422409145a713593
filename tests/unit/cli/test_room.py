"""Room on the disk: said when low, told when nearly gone, over when there is clearly some again."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.cli import doctor
from services.cli.room import LAST_BYTES, LOW_BYTES, MIB, Room, free_bytes


class Told:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def raised(self, subject: str, body: str) -> str:
        self.lines.append(f"{subject} {body}")
        return "one"

    def over(self, incident: str, subject: str, body: str) -> None:
        self.lines.append(f"{incident} over")


def test_it_is_said_once_told_once_and_over_only_when_there_is_clearly_room() -> None:
    said: list[str] = []
    told = Told()
    free = [LOW_BYTES]
    room = Room([Path("/a")], said.append, told, lambda _folder: free[0])
    counts = []
    steps = [LOW_BYTES, LOW_BYTES - 1, LOW_BYTES - 2, LAST_BYTES - 1, LAST_BYTES - 2]
    for now in [
        *steps,
        LAST_BYTES + 1,
        2 * LAST_BYTES,
        LAST_BYTES - 1,
        2 * LOW_BYTES,
        LOW_BYTES - 1,
    ]:
        free[0] = now
        room.look()
        counts.append((len(said), len(told.lines)))
    assert counts == [
        (0, 0),
        (1, 0),
        (1, 0),
        (1, 1),
        (1, 1),
        (1, 1),
        (1, 2),
        (1, 3),
        (1, 4),
        (2, 4),
    ]
    assert said[0] == "disk: only 500 MiB free at /a; make room, the record only grows"
    assert told.lines[1] == "one over"


def test_the_fullest_of_the_disks_counts() -> None:
    said: list[str] = []
    free = {Path("/a"): 900 * MIB, Path("/b"): 10 * MIB}
    Room(list(free), said.append, Told(), free.__getitem__).look()
    assert said == ["disk: only 10 MiB free at /b; make room, the record only grows"]


def test_a_folder_that_is_not_there_yet_is_on_the_disk_of_its_parent(tmp_path: Path) -> None:
    assert free_bytes(tmp_path / "not" / "yet") == pytest.approx(free_bytes(tmp_path), rel=0.1)


@pytest.mark.parametrize(
    ("free", "verdict"),
    [(LOW_BYTES + 1, "ok"), (LOW_BYTES - 1, "warning"), (LAST_BYTES - 1, "problem")],
)
def test_doctor_says_how_much_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, verdict: str
) -> None:
    monkeypatch.setattr(doctor, "free_bytes", lambda _folder: free)
    found = {one.what: one for one in doctor._home(tmp_path)}
    assert found["disk"].verdict == verdict
