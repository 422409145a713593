"""Files of backups by their names alone: when each was taken."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path

_NAME = re.compile(r"sonic-(\d{8}T\d{6}Z)\.tar")
# A name further ahead than this was given by a clock that was wrong, or is read by one that is.
_SKEW = timedelta(hours=1)


def name_of(taken: datetime) -> str:
    """`sonic-20261129T214500Z.tar`."""
    return f"sonic-{taken:%Y%m%dT%H%M%SZ}.tar"


def backups_in(folder: Path) -> list[Path]:
    """Those that were named by name_of(), oldest first."""
    if not folder.is_dir():
        return []
    return sorted(file for file in folder.iterdir() if _NAME.fullmatch(file.name))


def taken_time(file: Path) -> datetime | None:
    """When, by its name; None when it has another."""
    found = _NAME.fullmatch(file.name)
    return datetime.strptime(f"{found[1]}+0000", "%Y%m%dT%H%M%SZ%z") if found else None


def past(folder: Path, now: datetime) -> list[Path]:
    """Those that are not of the future, oldest first."""
    latest = name_of(now + _SKEW)
    return [file for file in backups_in(folder) if file.name <= latest]


def last_taken(folder: Path, now: datetime) -> datetime | None:
    """When the newest backup of the folder was taken, of those that are not of the future."""
    found = past(folder, now)
    return taken_time(found[-1]) if found else None
