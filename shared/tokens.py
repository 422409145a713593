"""Tokens of people and scripts: a file of their hashes, read again when it changes.

A token is `sonic_<id>_<secret>`: 6 and 32 random bytes in hexadecimal. The secret is shown once and
kept as SHA-256; a hash that is slow by design would gain nothing over 256 random bits.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import re
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum
from pathlib import Path
from typing import Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from shared.clock import Clock
from shared.errors import AlreadyExists, Exhausted, NotFound, Unavailable, invalid

FILE_NAME = "tokens.json"
MOST_TOKENS = 1_000
_TOKEN = re.compile(r"sonic_([0-9a-f]{12})_([0-9a-f]{64})")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# Compared with where an id is not known: it takes as long.
_NO_HASH = "0" * 64


class Scope(IntEnum):
    """What a token may do; each may what the ones before it may."""

    READ = 1
    OPERATE = 2
    ADMIN = 3


@dataclass(frozen=True, slots=True)
class Token:
    """What is kept of one."""

    id: str
    name: str
    scope: Scope
    secret_sha256: str
    created_time: datetime
    expires_time: datetime | None = None
    revoked_time: datetime | None = None

    def is_valid(self, now: datetime) -> bool:
        """Neither revoked nor expired."""
        return self.revoked_time is None and (self.expires_time is None or now < self.expires_time)


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    id: str = Field(pattern=r"^[0-9a-f]{12}$")
    name: str = Field(pattern=f"^{_NAME.pattern}$")
    scope: str
    secret_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    created_time: AwareDatetime
    expires_time: AwareDatetime | None = None
    revoked_time: AwareDatetime | None = None

    @classmethod
    def of(cls, token: Token) -> Self:
        return cls(
            id=token.id,
            name=token.name,
            scope=token.scope.name,
            secret_sha256=token.secret_sha256,
            created_time=token.created_time,
            expires_time=token.expires_time,
            revoked_time=token.revoked_time,
        )

    def token(self) -> Token:
        return Token(
            self.id,
            self.name,
            Scope[self.scope],
            self.secret_sha256,
            self.created_time,
            self.expires_time,
            self.revoked_time,
        )


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    version: int = Field(1, ge=1, le=1)
    tokens: tuple[_Row, ...] = Field((), max_length=MOST_TOKENS)


def read(file: Path) -> tuple[Token, ...]:
    """Every token of the file, in the order they were made; none when there is no file. Raises
    Unavailable TOKENS_UNREADABLE: nobody is let in by a file
    that cannot be used.
    """
    try:
        rows = _File.model_validate_json(file.read_bytes()).tokens
        return tuple(row.token() for row in rows)
    except FileNotFoundError:
        return ()
    except (OSError, ValidationError, KeyError) as error:
        raise Unavailable(
            "TOKENS_UNREADABLE",
            f"{file.name} cannot be read ({type(error).__name__}): restore it, or remove it and "
            "make new tokens with `sonic token create`",
        ) from error


def create(
    file: Path, name: str, scope: Scope, now: datetime, expires: datetime | None
) -> tuple[Token, str]:
    """The new token and its only copy as text. Raises INVALID_FIELD, TOKEN_EXISTS for a name that
    is in use, TOO_MANY_TOKENS.
    """
    if not _NAME.fullmatch(name):
        problem = "1 to 64 letters, digits, dots, hyphens or underscores, a letter or digit first"
        raise invalid("name", problem)
    with _held(file) as tokens:
        if any(token.name == name and token.is_valid(now) for token in tokens):
            raise AlreadyExists("TOKEN_EXISTS", f"a token called {name} is in use; revoke it first")
        if len(tokens) >= MOST_TOKENS:
            raise Exhausted("TOO_MANY_TOKENS", f"{MOST_TOKENS} tokens are kept; remove {file.name}")
        id, secret = secrets.token_hex(6), secrets.token_hex(32)
        token = Token(id, name, scope, _hash(secret), now, expires)
        _write(file, [*tokens, token])
    return token, f"sonic_{id}_{secret}"


def revoke(file: Path, name_or_id: str, now: datetime) -> Token:
    """Holds from the next look at the file on. Raises NotFound TOKEN_NOT_FOUND."""
    with _held(file) as tokens:
        found = next(
            (
                token
                for token in reversed(tokens)
                if name_or_id in (token.id, token.name) and token.revoked_time is None
            ),
            None,
        )
        if found is None:
            raise NotFound(
                "TOKEN_NOT_FOUND",
                "no token that is not revoked has this name or id; `sonic token list` shows them",
            )
        gone = replace(found, revoked_time=now)
        _write(file, [gone if token.id == found.id else token for token in tokens])
    return gone


class TokenFile:
    """The file as whoever checks tokens sees it: looked at once a second, read when it changed."""

    _EVERY_SECONDS = 1.0

    def __init__(self, file: Path, clock: Clock) -> None:
        self.file = file
        self._clock = clock
        self._looked = float("-inf")
        self._seen: tuple[int, ...] | None = None
        self._problem: Unavailable | None = None
        self._tokens: tuple[Token, ...] = ()

    def tokens(self) -> tuple[Token, ...]:
        """All of them. Raises Unavailable."""
        now = self._clock.monotonic()
        if now - self._looked >= self._EVERY_SECONDS:
            self._looked = now
            self._look()
        if self._problem is not None:
            raise self._problem
        return self._tokens

    def find(self, text: str) -> Token | None:
        """The valid token that this is; None for every other text."""
        parts = _TOKEN.fullmatch(text)
        id, secret = (parts[1], parts[2]) if parts else ("", "")
        token = next((token for token in self.tokens() if token.id == id), None)
        is_right = hmac.compare_digest(token.secret_sha256 if token else _NO_HASH, _hash(secret))
        return token if token and is_right and token.is_valid(self._clock.now()) else None

    def _look(self) -> None:
        try:
            found = self.file.stat()
            seen: tuple[int, ...] | None = (found.st_mtime_ns, found.st_size, found.st_ino)
        except FileNotFoundError:
            seen = ()
        except OSError as error:
            self._seen = None
            words = f"{self.file.name} cannot be looked at ({type(error).__name__})"
            self._problem = Unavailable("TOKENS_UNREADABLE", words)
            return
        if seen == self._seen:
            return
        try:
            self._tokens, self._problem = read(self.file), None
        except Unavailable as problem:
            # Read again at the next look: rights change without the file, and what failed may be
            # this process, short of file descriptors for a moment.
            self._problem, seen = problem, None
        self._seen = seen


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


@contextmanager
def _held(file: Path) -> Iterator[list[Token]]:
    """The tokens, while nobody else changes them."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with os.fdopen(os.open(file.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)) as lock:
        _give_back(lock.fileno(), file.parent)
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield list(read(file))


def _write(file: Path, tokens: Sequence[Token]) -> None:
    """The whole file or the one before, for its owner's eyes, or for those it was opened to."""
    text = _File(tokens=tuple(map(_Row.of, tokens))).model_dump_json(indent=1, exclude_none=True)
    fresh = file.with_suffix(".new")
    is_new = not file.exists()
    mode = 0o600 if is_new else stat.S_IMODE(file.stat().st_mode)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(f"{text}\n")
        out.flush()
        _give_back(out.fileno(), file.parent if is_new else file)
        os.fchmod(out.fileno(), mode)
        os.fsync(out.fileno())
    fresh.replace(file)


def _give_back(descriptor: int, as_of: Path) -> None:
    """What root writes with `sudo` belongs to whom the place belongs: the gateway is to read it."""
    if os.geteuid() == 0:
        owner = as_of.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
