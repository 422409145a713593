"""Whether the folder of the backups is still the one that the last backup went to. A disk that is
not mounted leaves an empty folder of the same name, or none, on the disk that is to be saved.
"""

from __future__ import annotations

import os
import secrets
from datetime import datetime
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

# In that folder, beside the backups; in the home what is remembered of it.
MARK = ".sonic-backups"
MEMORY = "backup-place.json"


class Place(BaseModel):
    """Where the last backup went: the folder, what was written in its mark, and when."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    folder: str
    mark: str
    taken_time: AwareDatetime


def remembered(folder: Path, home: Path | None) -> Place | None:
    """What is known of this folder; None: no backup went to it yet. One inside the home is as it
    is: it is on no other disk.
    """
    if home is None or folder.is_relative_to(home):
        return None
    try:
        place = Place.model_validate_json((home / MEMORY).read_bytes())
    except (OSError, ValidationError):
        return None
    return place if place.folder == str(folder) else None


def trouble(folder: Path, home: Path | None) -> str:
    """What is wrong with it and what to do, in a sentence; empty when nothing is known to be."""
    if problem := _unreadable(folder):
        return f"{folder} cannot be read ({problem}): mount its disk again, or see whose it is"
    place = remembered(folder, home)
    if place is None or _mark_of(folder) == place.mark:
        return ""
    what = "is not the folder that it was" if folder.is_dir() else "is not there"
    return (
        f"{folder} {what} when the last backup went to it on {place.taken_time:%Y-%m-%d %H:%M} UTC:"
        f" mount its disk; if this is a new one, say so once by `sonic backup --to {folder}`"
    )


def remember(folder: Path, home: Path, taken_time: datetime) -> None:
    """A backup has been written there. A home that is of this one run alone remembers nothing."""
    if folder.is_relative_to(home) or not home.is_dir():
        return
    mark = _mark_of(folder)
    if not mark:
        mark = secrets.token_hex(8)
        _write(folder / MARK, mark)
    place = Place(folder=str(folder), mark=mark, taken_time=taken_time)
    _write(home / MEMORY, place.model_dump_json())


def _unreadable(folder: Path) -> str:
    """Why, in the system's words; empty for one that can be read, and for one that is not there."""
    try:
        next(folder.iterdir(), None)
    except FileNotFoundError:
        return ""
    except OSError as error:
        return error.strerror or type(error).__name__
    return ""


def _mark_of(folder: Path) -> str:
    """Empty where there is none."""
    try:
        return (folder / MARK).read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _write(file: Path, words: str) -> None:
    fresh = file.with_name(f"{file.name}.new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(words)
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(file)
