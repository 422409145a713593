"""Room on the disks the system writes to: said and told before there is none."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from services.cli.alarm import Alarms
from services.cli.children import Say

MIB = 1024 * 1024
# Below the first somebody should make room, below the second a write may fail at any moment.
LOW_BYTES = 500 * MIB
LAST_BYTES = 100 * MIB
# Over by this much before it counts as over: no telling to and fro at the edge.
_MARGIN_RATIO = 1.2


def free_bytes(folder: Path) -> int:
    """Room for us on the disk of the nearest folder that exists; links are followed."""
    nearest = next(place for place in (folder, *folder.parents) if place.exists())
    return shutil.disk_usage(nearest.resolve()).free


def written_folders(home: Path) -> list[Path]:
    """Where the system writes: its home, and the database's data when they are elsewhere."""
    return [home, home / "postgres" / "postgres"]


def folder_bytes(folder: Path) -> int:
    """What a folder holds on the disk, as far as we may look."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += Path(place, name).lstat().st_blocks * 512
    return total


class Room:
    """Looks at the folders; says once that room is low, tells people once that it is nearly
    gone."""

    def __init__(
        self,
        folders: Iterable[Path],
        say: Say,
        alarm: Alarms,
        free: Callable[[Path], int] = free_bytes,
    ) -> None:
        self._folders = list(folders)
        self._say = say
        self._alarm = alarm
        self._free = free
        self._is_said = False
        self._incident = ""

    def look(self) -> None:
        """Once; raises OSError when a folder cannot be looked at."""
        free, folder = min((self._free(folder), str(folder)) for folder in self._folders)
        words = f"{free / MIB:,.0f} MiB free at {folder}"
        if free < LOW_BYTES and not self._is_said:
            self._is_said = True
            self._say(f"disk: only {words}; make room, the record only grows")
        if free < LAST_BYTES and not self._incident:
            body = f"Only {words}. When it is full nothing is judged or kept: make room now."
            self._incident = self._alarm.raised("The disk of Sonic is nearly full", body)
        if free > LOW_BYTES * _MARGIN_RATIO:
            self._is_said = False
        if free > LAST_BYTES * _MARGIN_RATIO and self._incident:
            self._alarm.over(self._incident, "The disk of Sonic has room again", f"{words}.")
            self._incident = ""
