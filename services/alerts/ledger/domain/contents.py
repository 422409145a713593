"""What a sealed file holds: a line that says what comes, the rows as lines of JSON, and a line with
an HMAC of all of it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from services.alerts.ledger.domain.chain import SEALED, Entry, Head, Sealed, Walk

FORMAT = "sonic ledger 1"


class Content:
    """Lines of a file in the order in which they are written, and what they come to."""

    def __init__(self, key: bytes, head: Head, previous_digest: str) -> None:
        self._seal = _file_seal(key)
        self._digest = hashlib.sha256()
        self._count = 0
        self._opening = {
            "format": FORMAT,
            "first_sequence": head.sequence + 1,
            "previous_hash": head.hash.hex(),
            "previous_digest": previous_digest,
        }

    def opening(self) -> bytes:
        return self._sealed(json.dumps(self._opening).encode() + b"\n")

    def rows(self, lines: bytes, count: int) -> bytes:
        """So many rows, a line each."""
        self._count += count
        return self._sealed(lines)

    def closing(self) -> bytes:
        line = json.dumps({"row_count": self._count, "hmac": self._seal.hexdigest()}).encode()
        self._digest.update(line + b"\n")
        return line + b"\n"

    @property
    def digest(self) -> str:
        """SHA-256 of all lines so far, hexadecimal."""
        return self._digest.hexdigest()

    def _sealed(self, lines: bytes) -> bytes:
        self._seal.update(lines)
        self._digest.update(lines)
        return lines


@dataclass(frozen=True, slots=True)
class FileVerdict:
    """What was found in a file; `first_bad_sequence` is 0 when the rows fit."""

    first_sequence: int
    last_sequence: int
    previous_hash: bytes
    last_hash: bytes
    digest: str
    previous_digest: str
    first_bad_sequence: int
    problem: str
    # Rows in it that say of earlier files what they hold.
    seals: tuple[Sealed, ...] = ()

    @property
    def row_count(self) -> int:
        return max(self.last_sequence - self.first_sequence + 1, 0)


@dataclass
class Reader:
    """Follows the lines of a file; the first that does not fit stops it."""

    key: bytes
    _digest: Any = field(default_factory=hashlib.sha256)
    _opening: dict[str, Any] = field(default_factory=dict)
    _walk: Walk | None = None
    _last: Head = field(default_factory=Head)
    _closed: bool = False
    _count: int = 0
    _problem: str = ""
    _seals: list[Sealed] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._seal = _file_seal(self.key)

    def follow(self, lines: Iterable[bytes]) -> None:
        for line in lines:
            if self._problem:
                return
            self._digest.update(line)
            try:
                self._follow(line)
            except (ValueError, LookupError, TypeError, AttributeError):
                self._problem = "a line of it is no row of a ledger"

    def _follow(self, line: bytes) -> None:
        if self._closed:
            self._problem = "something follows its end"
        elif self._walk is None:
            self._open(json.loads(line))
            self._seal.update(line)
        elif line.startswith(b'{"row_count"'):
            self._close(json.loads(line))
        else:
            self._seal.update(line)
            row = row_of(line)
            self._count += 1
            self._walk.follow([row])
            self._last = Head(row.sequence, row.hash)
            if row.entry.reason == SEALED:
                self._seals.append(row)

    def _open(self, opening: dict[str, Any]) -> None:
        if opening.get("format") != FORMAT:
            self._problem = f"it is no sealed file of the form {FORMAT!r}"
            return
        before = Head(int(opening["first_sequence"]) - 1, bytes.fromhex(opening["previous_hash"]))
        self._opening, self._last = opening, before
        self._walk = Walk(self.key, None, {before.sequence: before.hash} if before.sequence else {})

    def _close(self, closing: dict[str, Any]) -> None:
        self._closed = True
        is_sealed = hmac.compare_digest(str(closing["hmac"]), self._seal.hexdigest())
        if int(closing["row_count"]) != self._count or not is_sealed:
            self._problem = "it is not what was sealed with this key"

    def end(self, problem: str = "") -> FileVerdict:
        """`problem`: why reading ended before the end of the file."""
        walked = None if self._walk is None else self._walk.end()
        said = (walked.problem if walked else "") or self._problem or problem
        if not said and not self._closed:
            said = "its end is missing"
        opening = self._opening
        return FileVerdict(
            int(opening.get("first_sequence", 0)),
            self._last.sequence,
            bytes.fromhex(opening.get("previous_hash", "")),
            self._last.hash,
            self._digest.hexdigest(),
            str(opening.get("previous_digest", "")),
            walked.first_bad_sequence if walked else 0,
            said,
            tuple(self._seals),
        )


def row_of(line: bytes) -> Sealed:
    """The row of a line of JSON; ValueError, LookupError or TypeError when it is none."""
    fields = json.loads(line)
    inputs = bytes.fromhex(fields["inputs"])
    entry = Entry(
        datetime.fromisoformat(fields["entry_time"]),
        _text(fields["alert_id"]),
        int(fields["type"]),
        _text(fields["actor"]),
        _text(fields["reason"]),
        int(fields["level_before"]),
        int(fields["level_after"]),
        _number(fields["value"]),
        _number(fields["flip_value"]),
        # Of packed inputs the text is only what they read.
        "" if inputs else _text(fields["inputs_json"]),
        _text(fields["cycle_id"]),
        _text(fields["subject"]),
        inputs,
    )
    previous_hash, row_hash = bytes.fromhex(fields["previous_hash"]), bytes.fromhex(fields["hash"])
    return Sealed(int(fields["sequence"]), entry, previous_hash, row_hash)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def _number(value: object) -> float | None:
    if value is None:
        return None
    if not isinstance(value, float):
        raise TypeError("no number")
    return value


def _file_seal(key: bytes) -> hmac.HMAC:
    return hmac.new(
        hmac.digest(key, b"sonic ledger file", hashlib.sha256), digestmod=hashlib.sha256
    )
