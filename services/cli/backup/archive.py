"""One file a backup: a tar of what was dumped, with a manifest that says what is in it.

Pure of the database: packs a folder, and opens one again after every member was proven.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import IO

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from shared.errors import FailedPrecondition

DUMP = "database.dump"
HOME = "home"
_MANIFEST = "manifest.json"
_MOST_MANIFEST_BYTES = 16 * 1024 * 1024
_PORTION_BYTES = 1024 * 1024


class Member(BaseModel):
    """One file in it."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    bytes: int
    sha256: str


class LedgerHead(BaseModel):
    """The last row of the alerts' ledger that the dump holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    sequence: int
    hash: str


class Manifest(BaseModel):
    """What a backup is of. `rows`: of some tables, by schema.table; `revisions`: by schema;
    `missing`: sealed files that the ledger speaks of and that could not be found.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    format: int = 1
    sonic_version: str
    taken_time: AwareDatetime
    postgres_version: int
    revisions: Mapping[str, str]
    ledger_head: LedgerHead | None
    rows: Mapping[str, int]
    members: Mapping[str, Member] = {}
    missing: tuple[str, ...] = ()


def pack(folder: Path, manifest: Manifest, to: Path) -> Manifest:
    """Everything in `folder`, on the same disk, as one file for its owner's eyes; whole or not
    there. Answers the manifest with its members.
    """
    names = sorted(
        file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()
    )
    members = {name: _member(folder / name) for name in names}
    whole = manifest.model_copy(update={"members": members})
    words = folder / _MANIFEST
    words.write_text(whole.model_dump_json(indent=1))
    # In the folder, which is nobody else's: two that are taken at once do not meet.
    fresh = folder / f".{to.name}.new"
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
                for name in (_MANIFEST, *names):
                    tar.add(folder / name, name, recursive=False, filter=_private)
            out.flush()
            os.fsync(out.fileno())
        fresh.replace(to)
    finally:
        fresh.unlink(missing_ok=True)
    return whole


def read_manifest(file: Path) -> Manifest:
    """What it says of itself. Raises FailedPrecondition BACKUP_UNREADABLE."""
    try:
        with tarfile.open(file, mode="r:") as tar:
            return _manifest(tar)
    except (OSError, tarfile.TarError, ValidationError, KeyError) as error:
        raise _unreadable(file, error) from error


def unpack(file: Path, folder: Path) -> Manifest:
    """Puts its members into `folder`, each proven by its hash. Raises FailedPrecondition
    BACKUP_UNREADABLE, BACKUP_DAMAGED.
    """
    try:
        with tarfile.open(file, mode="r:") as tar:
            manifest = _manifest(tar)
            for name, member in manifest.members.items():
                content = tar.extractfile(_inside(name, tar.getmember(name)))
                if content is None:
                    raise _damaged(file, name)
                if _written(content, folder / name) != member:
                    raise _damaged(file, name)
    except (OSError, tarfile.TarError, ValidationError, KeyError) as error:
        raise _unreadable(file, error) from error
    return manifest


def _manifest(tar: tarfile.TarFile) -> Manifest:
    found = tar.getmember(_MANIFEST)
    content = tar.extractfile(found)
    if content is None or found.size > _MOST_MANIFEST_BYTES:
        raise KeyError(_MANIFEST)
    manifest = Manifest.model_validate_json(content.read())
    if manifest.format != 1:
        raise FailedPrecondition(
            "BACKUP_TOO_NEW", f"its format is {manifest.format}: a newer Sonic made it"
        )
    return manifest


def _inside(name: str, member: tarfile.TarInfo) -> tarfile.TarInfo:
    """A plain file below the folder: an archive may be somebody else's."""
    path = PurePosixPath(name)
    if not member.isreg() or path.is_absolute() or ".." in path.parts:
        raise KeyError(name)
    return member


def _written(content: IO[bytes], to: Path) -> Member:
    to.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    hashed, size = hashlib.sha256(), 0
    with os.fdopen(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        while portion := content.read(_PORTION_BYTES):
            hashed.update(portion)
            size += len(portion)
            out.write(portion)
    return Member(bytes=size, sha256=hashed.hexdigest())


def _member(file: Path) -> Member:
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256")
    return Member(bytes=file.stat().st_size, sha256=digest.hexdigest())


def _private(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Nothing of this machine's accounts."""
    member.mode, member.uid, member.gid, member.uname, member.gname = 0o600, 0, 0, "", ""
    return member


def _damaged(file: Path, name: str) -> FailedPrecondition:
    return FailedPrecondition(
        "BACKUP_DAMAGED", f"{file}: {name} is not what was put into it; use another backup"
    )


def _unreadable(file: Path, error: Exception) -> FailedPrecondition:
    words = getattr(error, "strerror", None) or type(error).__name__
    return FailedPrecondition("BACKUP_UNREADABLE", f"{file} is no whole backup ({words})")
