"""SONIC_HOME for its owner's eyes: folders and files made private, and made so again where they are
ours.
"""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from shared import tokens

_OTHERS = 0o077
# As root the database runs as another user, who must pass through the home, and may not look around
# in it.
_PASSABLE = 0o711
_TOKENS = (tokens.FILE_NAME, "tokens.lock")
_FOLDERS = ("logs", "ledger", "backups", "tls")
_PRIVATE = ("roles.json", "ledger.key", "running.json", *_FOLDERS, *_TOKENS)
# A folder that holds more than this was not made for us alone: its mode is its owner's business.
_KNOWN = frozenset({*_PRIVATE, "postgres"})
_OF_RESTORES = (".restore-", "before-restore-")


@dataclass(frozen=True, slots=True)
class Exposure:
    """A file or folder that others can read or that is not ours, and the command that mends it."""

    path: Path
    words: str
    fix: str
    is_ours: bool


def make(home: Path) -> None:
    """The home, private; whatever of ours in it others could read is closed to them."""
    home.mkdir(parents=True, exist_ok=True, mode=_home_mode())
    if not (home / "postgres").exists() and _is_ours_alone(home):
        # Whoever made it before did not know who must pass, or the umask took that away; a
        # database that cannot pass is made in another place than the one that is backed up.
        home.chmod(home.stat().st_mode | _home_mode())
    for exposure in exposures(home):
        if exposure.is_ours:
            exposure.path.chmod(_mode(exposure.path, home))


def exposures(home: Path) -> Iterator[Exposure]:
    """What is open in an existing home, or belongs to somebody else. Looks, and changes nothing.

    Not into the database's own folder: PostgreSQL refuses to start when others can read it.
    """
    if not home.is_dir():
        return
    is_ours_alone = _is_ours_alone(home)
    files = (path for name in _FOLDERS for path in sorted((home / name).glob("*")))
    for path in (home, *(home / name for name in _PRIVATE), *files):
        if path.is_symlink() or not path.exists():
            continue
        found = path.stat()
        if found.st_uid != os.geteuid():
            owner, own_name = _name_of(found.st_uid), _name_of(os.geteuid())
            fix = f"sudo chown -R {own_name} {home}"
            yield Exposure(path, f"{path} belongs to {owner}", fix, is_ours=False)
        elif stat.S_IMODE(found.st_mode) & _OTHERS & ~_mode(path, home):
            fix = f"chmod {_mode(path, home):o} {path}"
            yield Exposure(
                path, f"others can read {path}", fix, is_ours=path != home or is_ours_alone
            )


def write(file: Path, text: str) -> None:
    """The whole file or the one before, for its owner's eyes from its first byte on."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=_home_mode())
    fresh = file.with_name(f"{file.name}.{os.getpid()}.new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    try:
        with os.fdopen(os.open(fresh, flags, 0o600), "w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        fresh.replace(file)
    finally:
        fresh.unlink(missing_ok=True)


def _is_ours_alone(home: Path) -> bool:
    return home.stat().st_uid == os.geteuid() and all(
        path.name in _KNOWN or path.name.startswith(_OF_RESTORES) for path in home.iterdir()
    )


def _home_mode() -> int:
    return _PASSABLE if os.geteuid() == 0 else 0o700


def _mode(path: Path, home: Path) -> int:
    if path == home:
        return _home_mode()
    return 0o700 if path.is_dir() else 0o600


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
