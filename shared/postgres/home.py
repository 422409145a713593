"""The folder one embedded server lives in: its lock, its password, its data."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from shared.errors import FailedPrecondition
from shared.postgres.account import Account

# Where the data goes when the server's account cannot enter the home (root's home, usually).
_OPEN_PLACES = (Path("/var/lib/sonic"), Path("/var/tmp/sonic"))  # noqa: S108 - mkdtemp inside


@dataclass
class Home:
    """`lock` and `password` belong to the owner; `postgres/` (data,
    log) to the server's account."""

    path: Path
    account: Account
    _lock: int | None = field(default=None, init=False)

    @property
    def place(self) -> Path:
        return (self.path / "postgres").resolve()

    @property
    def data(self) -> Path:
        return self.place / "data"

    @property
    def log(self) -> Path:
        return self.place / "log"

    def take(self) -> None:
        """Become the only owner. The kernel gives the lock back however the owner ends."""
        if not self.path.exists():
            self.path.mkdir(parents=True, mode=0o711 if self.account.dropped else 0o700)
        lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as taken:
            owner = os.read(lock, 20).decode(errors="replace").strip() or "unknown"
            os.close(lock)
            raise FailedPrecondition(
                "HOME_IN_USE",
                f"the embedded PostgreSQL in {self.path} already runs, owned by process {owner}; "
                "stop that one, use another home, or connect to it",
                metadata={"owner": owner},
            ) from taken
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        self._lock = lock

    def release(self) -> None:
        if self._lock is not None:
            # Explicitly: a forked child would keep a merely closed lock.
            fcntl.flock(self._lock, fcntl.LOCK_UN)
            os.close(self._lock)
            self._lock = None

    def prepare(self) -> None:
        """Make the server's folder, elsewhere and linked when the account cannot enter this one."""
        place = self.path / "postgres"
        if place.is_symlink() or place.is_dir():
            if not self.place.is_dir():
                raise FailedPrecondition(
                    "DATA_MISSING", f"{place} points to {self.place}, which is gone"
                )
            self.account.owns(self.place)
        elif self.account.can_enter(self.path):
            place.mkdir(mode=0o700)
            self.account.owns(place)
        else:
            place.symlink_to(self._elsewhere())

    def password(self) -> str:
        """The administrator's password; made once, together with the data."""
        file = self.path / "password"
        if file.exists():
            if file.stat().st_mode & 0o077:
                file.chmod(0o600)
            return file.read_text().strip()
        if self.data.exists():
            raise FailedPrecondition(
                "PASSWORD_MISSING", f"{self.data} has data but {file} is gone; restore it"
            )
        made = secrets.token_urlsafe(24)
        descriptor = os.open(file.with_suffix(".new"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as out:
            out.write(made + "\n")
            out.flush()
            os.fsync(out.fileno())
        file.with_suffix(".new").rename(file)
        return made

    def discard(self) -> None:
        """Delete the data and the password, wherever the data are."""
        shutil.rmtree(self.place, ignore_errors=True)
        (self.path / "postgres").unlink(missing_ok=True)
        (self.path / "password").unlink(missing_ok=True)

    def _elsewhere(self) -> Path:
        problems = []
        for parent in _OPEN_PLACES:
            try:
                parent.mkdir(parents=True, exist_ok=True)
                if not self.account.can_enter(parent):
                    raise PermissionError("the account cannot enter it")
                made = Path(tempfile.mkdtemp(dir=parent, prefix="postgres-"))
                self.account.owns(made)
                return made
            except OSError as problem:
                problems.append(f"{parent}: {problem}")
        raise FailedPrecondition(
            "NO_PLACE_FOR_DATA",
            f"uid {self.account.uid} cannot enter {self.path}; elsewhere: {'; '.join(problems)}",
        )


def discard(folder: Path) -> None:
    """Remove what an interrupted first start left."""
    if folder.exists():
        shutil.rmtree(folder)
