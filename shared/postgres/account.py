"""The operating system account that PostgreSQL runs under: it refuses to run as root."""

from __future__ import annotations

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from shared.errors import FailedPrecondition

_UNPRIVILEGED_USER = "nobody"


@dataclass(frozen=True)
class Account:
    """Who the server runs as; `dropped` when that is somebody else than us (we are root)."""

    uid: int
    gid: int
    dropped: bool

    def owns(self, path: Path) -> None:
        """Hand a file or folder of ours to the account."""
        if self.dropped:
            os.chown(path, self.uid, self.gid)

    def can_enter(self, folder: Path) -> bool:
        """Whether every folder on the way is open to the account (access lists are not read)."""
        if not self.dropped:
            return os.access(folder, os.X_OK)
        resolved = folder.resolve()
        return all(self._may_pass(step.stat()) for step in (resolved, *resolved.parents))

    def _may_pass(self, found: os.stat_result) -> bool:
        if found.st_uid == self.uid:
            return bool(found.st_mode & stat.S_IXUSR)
        if found.st_gid == self.gid:
            return bool(found.st_mode & stat.S_IXGRP)
        return bool(found.st_mode & stat.S_IXOTH)


def current(data: Path) -> Account:
    """Ourselves; when we are root, whoever owns the data already there,
    else an unprivileged user."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), dropped=False)
    if data.is_dir() and (owner := data.stat()).st_uid != 0:
        return Account(owner.st_uid, owner.st_gid, dropped=True)
    try:
        entry = pwd.getpwnam(_UNPRIVILEGED_USER)
    except KeyError as missing:
        raise FailedPrecondition(
            "POSTGRES_NEEDS_A_USER",
            f"PostgreSQL does not run as root and there is no user '{_UNPRIVILEGED_USER}' here; "
            "start as an ordinary user, or set DATABASE_URL to a server of your own",
        ) from missing
    return Account(entry.pw_uid, entry.pw_gid, dropped=True)
