"""Tokens by which processes know each other where TLS ends before them, as in a mesh.

One file holds the token that a process shows. Another says whom it knows: a line for each caller,
its name and the SHA-256 of its token. Both are read again when they change.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from shared.log import get_logger
from shared.tls_files import TlsFiles

T = TypeVar("T")

_TOKEN = re.compile(r"[\x21-\x7e]{32,512}")
_LINE = re.compile(r"([a-z][a-z0-9-]{0,62})\s+([0-9a-f]{64})")
_LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class ServiceTokens:
    """Where the two are."""

    own: Path
    callers: Path


# By what a process is known to others, and knows them.
Identity = TlsFiles | ServiceTokens


def token_of(path: Path) -> str:
    """The token in a file. Raises OSError, ValueError."""
    # What is no UTF-8 is no token either; an error of decoding would carry the file into the log.
    token = path.read_text(encoding="utf-8", errors="replace").strip()
    if not _TOKEN.fullmatch(token):
        raise ValueError(f"{path} holds no token: 32 to 512 characters without a space")
    return token


def callers_of(path: Path) -> tuple[tuple[bytes, str], ...]:
    """SHA-256 and name of each token in a file; a name may have several, while one is replaced.
    Raises OSError, ValueError.
    """
    found: dict[bytes, str] = {}
    text = path.read_text(encoding="utf-8", errors="replace")
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise ValueError(
                f"line {number} of {path} is no caller's name with 64 digits of 0-9a-f"
            )
        name, digest = match[1], bytes.fromhex(match[2])
        if found.setdefault(digest, name) != name:
            raise ValueError(f"line {number} of {path}: {found[digest]} has the same token")
    if not found:
        raise ValueError(f"{path} names no caller: write a line for each, its name and SHA-256")
    return tuple(found.items())


class ShownToken:
    """What a process sends with each call."""

    def __init__(self, path: Path) -> None:
        self._token = _Renewed(path, token_of)

    def header(self) -> tuple[str, str]:
        """Raises OSError, ValueError when it never was a token."""
        return "authorization", f"Bearer {self._token.now()}"


class KnownCallers:
    """Who calls, by the token it shows."""

    def __init__(self, path: Path) -> None:
        self._callers = _Renewed(path, callers_of)

    def caller(self, authorization: str) -> str:
        """The name, or "" for a token that nobody here has. Raises OSError, ValueError."""
        kind, _, token = authorization.partition(" ")
        if kind.lower() != "bearer":
            return ""
        shown = hashlib.sha256(token.strip().encode()).digest()
        known = ""
        # All of them, each in the same time: how long it takes says nothing of how near it was.
        for digest, name in self._callers.now():
            if hmac.compare_digest(digest, shown):
                known = name
        return known


class _Renewed(Generic[T]):
    """What a file holds. One that cannot be read any more leaves what was, and is logged once."""

    def __init__(self, path: Path, read: Callable[[Path], T]) -> None:
        self._path = path
        self._read = read
        self._held: tuple[T] | None = None
        self._state = (0, 0, 0)
        self._next_look = 0.0
        self._problem = ""

    def now(self) -> T:
        moment = time.monotonic()
        if self._held is None:
            self._state, self._held = self._stat(), (self._read(self._path),)
            self._next_look = moment + _LOOK_SECONDS
        elif moment >= self._next_look:
            self._next_look = moment + _LOOK_SECONDS
            self._look()
        return self._held[0]

    def _look(self) -> None:
        try:
            state = self._stat()
            if state == self._state:
                return
            self._held = (self._read(self._path),)
        except (OSError, ValueError) as problem:
            if repr(problem) != self._problem:
                self._problem = repr(problem)
                get_logger().warning(
                    "token file is not taken, what was stays", problem=self._problem
                )
            return
        self._state, self._problem = state, ""
        get_logger().info("token file is taken anew", file=str(self._path))

    def _stat(self) -> tuple[int, int, int]:
        found = self._path.stat()
        return found.st_mtime_ns, found.st_size, found.st_ino
