"""The key of the ledger's hashes: from the environment, or a file of the state directory."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from shared.errors import FailedPrecondition

_KEY_BYTES = 32


class GivenKey:
    """A key that somebody else keeps."""

    origin = "ALERTS_LEDGER_KEY"

    def __init__(self, key: bytes) -> None:
        self._key = key

    def read(self) -> bytes | None:
        """The key."""
        return self._key

    def make(self) -> bytes:
        """Nothing is made: it is there."""
        return self._key


class KeyFile:
    """`ledger.key` in the state directory, for its owner's eyes."""

    def __init__(self, folder: Path) -> None:
        self._path = folder.absolute() / "ledger.key"

    @property
    def origin(self) -> str:
        """Where it lies."""
        return str(self._path)

    def read(self) -> bytes | None:
        """The key, or None when there is none yet; one that others could read is closed to them."""
        try:
            if self._path.stat().st_mode & 0o077:
                self._path.chmod(0o600)
            return self._path.read_bytes().strip() or None
        except FileNotFoundError:
            return None
        except PermissionError as error:
            raise FailedPrecondition(
                "LEDGER_KEY_MISSING",
                f"{self._path} belongs to another user; run: sudo chown $USER {self._path}",
            ) from error

    def make(self) -> bytes:
        """A key made now, or the one another process made meanwhile; on disk before it is used."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = self._path.with_name(f"ledger.key.{secrets.token_hex(8)}")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_hex(_KEY_BYTES).encode())
            file.flush()
            os.fsync(file.fileno())
        try:
            # A link fails when another process was faster; the key is never seen half written.
            os.link(fresh, self._path)
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
        return self._path.read_bytes().strip()
