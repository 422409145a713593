"""The chain: each row's keyed hash covers the row and the hash before it.

HMAC-SHA256 (RFC 2104) over the fields as netstrings, so that no text can pass for two fields.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

GENESIS = b""
_BLOCK_BYTES = 64
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Entry(NamedTuple):
    """A row before it is sealed. Levels and type as numbers, 0: none; values in its unit."""

    entry_time: datetime
    alert_id: str
    type: int
    actor: str
    reason: str
    level_before: int
    level_after: int
    value: float | None
    flip_value: float | None
    inputs_json: str
    cycle_id: str
    subject: str


class Sealed(NamedTuple):
    """A row of the ledger."""

    sequence: int
    entry: Entry
    previous_hash: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class Head:
    """The last row: its place and hash; (0, b"") before the first."""

    sequence: int = 0
    hash: bytes = GENESIS


@dataclass(frozen=True, slots=True)
class Anchor:
    """A head that has left the house; sequence 0 when only its hash is known."""

    hash: bytes
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a walk along the chain found; `first_bad_sequence` is 0 when every row fits."""

    entry_count: int
    first_bad_sequence: int
    problem: str
    head_hash: bytes
    unanchored_count: int

    @property
    def intact(self) -> bool:
        return not self.problem


def seal(key: bytes, previous_hash: bytes, sequence: int, entry: Entry) -> bytes:
    """The hash of a row at its place."""
    text = (
        f"{sequence},{_micros(entry.entry_time)},{entry.type},{entry.level_before},{entry.level_after},"
        f"{_exact(entry.value)},{_exact(entry.flip_value)},"
        f"{len(entry.alert_id)}:{entry.alert_id},{len(entry.actor)}:{entry.actor},"
        f"{len(entry.reason)}:{entry.reason},{len(entry.cycle_id)}:{entry.cycle_id},"
        f"{len(entry.subject)}:{entry.subject},{len(entry.inputs_json)}:{entry.inputs_json}"
    )
    inner, outer = _pads(key)
    inner, outer = inner.copy(), outer.copy()
    inner.update(previous_hash + b"|" + text.encode())
    outer.update(inner.digest())
    return outer.digest()


def is_sealed_with(key: bytes, row: Sealed) -> bool:
    """Whether this key wrote the row as it stands."""
    return hmac.compare_digest(seal(key, row.previous_hash, row.sequence, row.entry), row.hash)


@lru_cache(maxsize=4)
def _pads(key: bytes) -> tuple[hashlib._Hash, hashlib._Hash]:
    # The half of each HMAC that only depends on the key, done once: half the time of a row.
    block = (hashlib.sha256(key).digest() if len(key) > _BLOCK_BYTES else key).ljust(
        _BLOCK_BYTES, b"\0"
    )
    inner, outer = (bytes(byte ^ pad for byte in block) for pad in (0x36, 0x5C))
    return hashlib.sha256(inner), hashlib.sha256(outer)


def chain(key: bytes, head: Head, entries: Iterable[Entry]) -> list[Sealed]:
    """Rows that follow a head, in order."""
    rows = []
    sequence, last = head.sequence, head.hash
    for entry in entries:
        sequence += 1
        sealed = seal(key, last, sequence, entry)
        rows.append(Sealed(sequence, entry, last, sealed))
        last = sealed
    return rows


def line(row: Sealed) -> str:
    """A row as a line of JSON with its newline; numbers read back bit for bit."""
    entry = row.entry
    fields = {
        "sequence": row.sequence,
        **entry._asdict(),
        "entry_time": entry.entry_time.isoformat(),
        "previous_hash": row.previous_hash.hex(),
        "hash": row.hash.hex(),
    }
    return json.dumps(fields) + "\n"


class Walk:
    """Follows the chain in portions; the first row that does not fit stops it."""

    def __init__(self, key: bytes, anchor: Anchor | None) -> None:
        self._key = key
        self._anchor = anchor
        self._head = Head()
        self._count = 0
        self._bad = 0
        self._problem = ""
        self._anchored_sequence = 0

    def follow(self, rows: Sequence[Sealed]) -> None:
        for row in rows:
            self._count += 1
            if not self._problem:
                self._step(row)

    def _step(self, row: Sealed) -> None:
        if row.sequence != self._head.sequence + 1:
            self._stop(self._head.sequence + 1, "a row is missing here")
        elif row.previous_hash != self._head.hash:
            self._stop(row.sequence, "the row does not follow the one before it")
        elif not is_sealed_with(self._key, row):
            self._stop(row.sequence, "the row is not what was written")
        else:
            self._head = Head(row.sequence, row.hash)
            if self._anchor is not None and row.hash == self._anchor.hash:
                self._anchored_sequence = row.sequence

    def _stop(self, sequence: int, problem: str) -> None:
        self._bad, self._problem = sequence, problem

    def end(self) -> Verdict:
        """An anchor that is not in the chain: its tail was cut, or it was replaced."""
        if self._anchor is not None and not self._problem and not self._anchored_sequence:
            self._stop(
                self._anchor.sequence or self._head.sequence + 1,
                "the anchored row is not in the chain",
            )
        return Verdict(
            self._count,
            self._bad,
            self._problem,
            self._head.hash,
            self._count - self._anchored_sequence,
        )


@lru_cache(maxsize=64)
def _micros(moment: datetime) -> int:
    # One evaluation seals tens of thousands of rows of one moment.
    return (moment - _EPOCH) // _MICROSECOND


def _exact(number: float | None) -> str:
    # PostgreSQL hands a float8 back bit for bit, and hex() is one text per bit pattern.
    return "" if number is None else number.hex()
