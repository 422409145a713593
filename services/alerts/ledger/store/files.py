"""Sealed files in a folder, for their owner's eyes: written beside, put in place when the ledger
says that they are sealed, never replaced.
"""

from __future__ import annotations

import gzip
import os
import secrets
import shutil
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from shared.errors import FailedPrecondition

_PATTERN = "ledger-*.jsonl.gz"
_FRESH = ".new"
_RECEIPT = ".seal"
# Below this much room nothing is written: the rest is the database's.
LEAST_FREE_BYTES = 256 * 1024 * 1024
# What nobody finished goes after a day.
_ABANDONED_SECONDS = 86_400.0
# The first letters of a line are enough to tell one; the longest has a message's text in it.
_LONGEST_LINE_BYTES = 64 * 1024 * 1024


class Unreadable(Exception):
    """A file is there and cannot be read to its end; the message says why."""


class Draft:
    """A file that is being written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._raw: BinaryIO = os.fdopen(descriptor, "wb")
        self._zip = gzip.GzipFile(
            filename="", mode="wb", compresslevel=6, fileobj=self._raw, mtime=0
        )

    def write(self, lines: bytes) -> None:
        with _telling(self.path.parent):
            self._zip.write(lines)

    def finish(self) -> None:
        """All of it is on the disk."""
        with _telling(self.path.parent):
            self._zip.close()
            self._raw.flush()
            os.fsync(self._raw.fileno())
            self._raw.close()

    def discard(self) -> None:
        """It is not wanted."""
        with suppress(OSError):
            self._zip.close()
        with suppress(OSError):
            self._raw.close()
        self.path.unlink(missing_ok=True)


class SegmentFiles:
    """Every method raises FailedPrecondition LEDGER_FOLDER_UNUSABLE when the folder cannot be used;
    reading alone raises Unreadable too.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()

    def draft(self) -> Draft:
        """A new file; LEDGER_FOLDER_UNUSABLE also when there is hardly any room."""
        with _telling(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if self.folder.stat().st_mode & 0o077:
                self.folder.chmod(0o700)
            self._forget_abandoned()
            if shutil.disk_usage(self.folder).free < LEAST_FREE_BYTES:
                raise OSError("there is hardly any room on its disk")
            return Draft(self.folder / f"ledger-{secrets.token_hex(8)}{_FRESH}")

    def name_draft(self, draft: Draft, name: str) -> None:
        """What it will be: found again by its name after a crash."""
        path = self.folder / f"{name}.{secrets.token_hex(4)}{_FRESH}"
        with _telling(self.folder):
            draft.path.replace(path)
            draft.path = path
            _sync(self.folder)

    def find(self, name: str) -> list[Path]:
        """Where the content of a file may be: in its place, or beside it."""
        with _telling(self.folder):
            placed = self.folder / name
            beside = sorted(self.folder.glob(f"{name}.*{_FRESH}"))
            return [*([placed] if placed.exists() else []), *beside]

    def place(self, path: Path, name: str, receipt: str, *, is_damaged: bool) -> None:
        """In its place for good, with what the ledger says of it. What lies there is never
        replaced, and kept beside when it is damaged; drafts of it go.
        """
        placed = self.folder / name
        with _telling(self.folder):
            if path != placed:
                if is_damaged and placed.exists():
                    placed.replace(self.folder / f"damaged-{secrets.token_hex(4)}-{name}")
                if not placed.exists():
                    path.replace(placed)
            _write(self.folder / f"{name}{_RECEIPT}", receipt)
            for other in self.folder.glob(f"{name}.*{_FRESH}"):
                other.unlink(missing_ok=True)
            _sync(self.folder)

    def names(self) -> list[str]:
        """Files in their place, in the order of their rows."""
        with _telling(self.folder):
            return sorted(path.name for path in self.folder.glob(_PATTERN))

    def receipt(self, name: str) -> str:
        """What the ledger said of a file; empty when there is none."""
        return read_receipt(self.folder / name)

    def byte_count(self) -> int:
        """What the folder holds; 0 when there is none yet."""
        with _telling(self.folder):
            return sum(path.stat().st_size for path in self.folder.glob("ledger-*"))

    def _forget_abandoned(self) -> None:
        for path in self.folder.glob(f"ledger-*{_FRESH}"):
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _ABANDONED_SECONDS:
                    path.unlink()


def read_lines(path: Path) -> Iterator[bytes]:
    """Lines of a file with their newlines; Unreadable at the place where it cannot be read on."""
    try:
        with gzip.open(path, "rb") as file:
            while line := file.readline(_LONGEST_LINE_BYTES):
                yield line
    except FileNotFoundError as error:
        raise Unreadable("the file is not there") from error
    except (OSError, EOFError, zlib.error) as error:
        words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise Unreadable(f"the file cannot be read: {words}") from error


def read_receipt(path: Path) -> str:
    """What the ledger said of the file of this path; empty when that is not there."""
    with suppress(OSError):
        return path.with_name(f"{path.name}{_RECEIPT}").read_text()
    return ""


def files_of(folder: Path) -> list[Path]:
    """Sealed files of a folder, in the order of their rows."""
    return sorted(folder.glob(_PATTERN))


def _write(path: Path, text: str) -> None:
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}{_FRESH}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def _sync(folder: Path) -> None:
    """Names are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _telling(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        said = error.strerror or str(error)
        raise FailedPrecondition(
            "LEDGER_FOLDER_UNUSABLE",
            f"{folder} (ALERTS_LEDGER_FOLDER) cannot take sealed files: {said}",
        ) from error
