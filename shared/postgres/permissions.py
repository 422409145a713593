"""Who owns the server's folder and who may read it: PostgreSQL refuses any other answer than its
own user.
"""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from shared.errors import FailedPrecondition
from shared.postgres.account import Account, current

# What PostgreSQL takes: nobody else may write, and of others only the group may read.
_REFUSED_MODE = 0o027


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a folder, and the command that mends it."""

    words: str
    fix: str

    def __str__(self) -> str:
        return f"{self.words}; run: {self.fix}"


def faults(home: Path) -> Iterator[Fault]:
    """What keeps the server in `home` from starting, as far as files tell; changes nothing."""
    data = home / "postgres" / "data"
    try:
        account = current(data)
        if os.geteuid() != 0:
            yield from _not_ours(home)
        if data.is_dir():
            yield from _data_faults(data.resolve(), account)
    except PermissionError as error:
        yield unreadable(error, home)
    except FailedPrecondition as error:
        yield Fault(error.message, "start as an ordinary user")


def unreadable(error: PermissionError, home: Path) -> Fault:
    """A file of the home that we may not even look at."""
    path = error.filename or home
    return Fault(
        f"{path} cannot be opened: it belongs to somebody else", _chown(os.geteuid(), home)
    )


def mend(data: Path, account: Account) -> None:
    """Repair owner and mode where we may; FailedPrecondition DATA_NOT_OURS with the command where
    not.
    """
    if os.geteuid() == 0:
        for path in _of_others(data, account.uid):
            os.chown(path, account.uid, account.gid, follow_symlinks=False)
    found = data.stat()
    if found.st_uid == os.geteuid() or os.geteuid() == 0:
        data.chmod(stat.S_IMODE(found.st_mode) & ~_REFUSED_MODE)
    left = next(_data_faults(data, account), None)
    if left is not None:
        raise FailedPrecondition("DATA_NOT_OURS", str(left))


def _data_faults(data: Path, account: Account) -> Iterator[Fault]:
    stranger = next(_of_others(data, account.uid), None)
    if stranger is not None:
        owner = _name(stranger.lstat().st_uid)
        words = f"{stranger} belongs to {owner}, and PostgreSQL runs as {_name(account.uid)}"
        yield Fault(words, _chown(account.uid, data))
    elif stat.S_IMODE(data.stat().st_mode) & _REFUSED_MODE:
        yield Fault(f"others can read {data}, and PostgreSQL refuses that", f"chmod 700 {data}")
    if not account.can_enter(data):
        closed = [step for step in reversed(data.parents) if not account.can_enter(step)]
        blocking = closed[0] if closed else data
        yield Fault(
            f"{_name(account.uid)} may not pass through {blocking}", f"chmod o+x {blocking}"
        )


def _of_others(data: Path, uid: int) -> Iterator[Path]:
    """Files and folders below that do not belong to this user."""
    if data.stat().st_uid != uid:
        yield data
    for folder, folders, files in os.walk(data):
        # By the names in a folder: one that we may not enter is never walked.
        for path in (Path(folder, name) for name in (*folders, *files)):
            # What the server removes meanwhile belongs to nobody.
            if (path.is_symlink() or path.exists()) and path.lstat().st_uid != uid:
                yield path


def _not_ours(home: Path) -> Iterator[Fault]:
    for path in (home, *(home.iterdir() if home.is_dir() else ())):
        if path.exists() and path.stat().st_uid != os.geteuid():
            yield Fault(
                f"{path} belongs to {_name(path.stat().st_uid)}", _chown(os.geteuid(), home)
            )
            return


def _chown(uid: int, path: Path) -> str:
    return f"sudo chown -R {_name(uid)} {path}"


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
