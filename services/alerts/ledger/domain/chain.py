"""The chain: each row's keyed hash covers the row and the hash before it.

HMAC-SHA256 (RFC 2104) over the fields, each with its length, so that no text can pass for two
fields: packed, or as netstrings where the inputs are a text.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

GENESIS = b""
# The reason of a row that says what left for a sealed file; such rows never leave.
SEALED = "SEALED"
_BLOCK_BYTES = 64
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_PACKED = b"\0"
_COPY_EPOCH_MICROS = 946_684_800_000_000  # of the year 2000
_NUMBERS, _FLOAT, _LENGTH = struct.Struct(">iqiqihihih"), struct.Struct(">id"), struct.Struct(">i")
_NONE = _LENGTH.pack(-1)
_SHARED_TEXTS = 256


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
    # Packed numbers and codes of which the text is made when it is read; `inputs_json` is empty
    # then.
    inputs: bytes = b""


# In the order of a record.
RECORD = (
    "sequence", "entry_time", "type", "level_before", "level_after", "value", "flip_value",
    "alert_id", "actor", "reason", "inputs_json", "cycle_id", "subject", "inputs",
    "previous_hash", "hash",
)  # fmt: skip


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
    """A head that has left the system; sequence 0 when only its hash is known."""

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
    # Rows that are in sealed files alone.
    left_count: int = 0

    @property
    def intact(self) -> bool:
        return not self.problem


class Link(NamedTuple):
    """A row, and its fields in the order of RECORD, each after its length."""

    row: Sealed
    record: bytes


def seal(key: bytes, previous_hash: bytes, sequence: int, entry: Entry) -> bytes:
    """The hash of a row at its place."""
    return _Sealer(key).seal(previous_hash, sequence, entry, b"")


def is_sealed_with(key: bytes, row: Sealed) -> bool:
    """Whether this key wrote the row as it stands."""
    return _Sealer(key).fits(row)


def chain(key: bytes, head: Head, entries: Iterable[Entry]) -> list[Sealed]:
    """Rows that follow a head, in order."""
    return [link.row for link in links(key, head, entries)]


def links(key: bytes, head: Head, entries: Iterable[Entry]) -> Iterator[Link]:
    """Rows that follow a head with their packed fields, in order."""
    sealer, packer = _Sealer(key), _Packer()
    sequence, last = head.sequence, head.hash
    before = _LENGTH.pack(len(last)) + last
    for entry in entries:
        sequence += 1
        packed = packer.pack(sequence, entry)
        sealed = sealer.seal(last, sequence, entry, packed)
        after = _LENGTH.pack(len(sealed)) + sealed
        yield Link(Sealed(sequence, entry, last, sealed), packed + before + after)
        last, before = sealed, after


class _Sealer:
    """HMAC-SHA256 with the half of it that only depends on the key done once."""

    def __init__(self, key: bytes) -> None:
        block = (hashlib.sha256(key).digest() if len(key) > _BLOCK_BYTES else key).ljust(
            _BLOCK_BYTES, b"\0"
        )
        inner, outer = (bytes(byte ^ pad for byte in block) for pad in (0x36, 0x5C))
        self._inner, self._outer = hashlib.sha256(inner), hashlib.sha256(outer)
        self._packer = _Packer()

    def seal(self, previous_hash: bytes, sequence: int, entry: Entry, packed: bytes) -> bytes:
        """The hash; the fields are packed here when they are not yet, and needed."""
        # The way before rows were packed, and still that of rows whose inputs are a text. The
        # first byte of the other is never that of a number in decimals.
        text = (
            _PACKED + (packed or self._packer.pack(sequence, entry))
            if entry.inputs
            else _netstrings(sequence, entry)
        )
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(previous_hash + b"|" + text)
        outer.update(inner.digest())
        return outer.digest()

    def fits(self, row: Sealed) -> bool:
        sealed = self.seal(row.previous_hash, row.sequence, row.entry, b"")
        return hmac.compare_digest(sealed, row.hash)


def _netstrings(sequence: int, entry: Entry) -> bytes:
    text = (
        f"{sequence},{micros(entry.entry_time)},{entry.type},{entry.level_before},{entry.level_after},"
        f"{_exact(entry.value)},{_exact(entry.flip_value)},"
        f"{len(entry.alert_id)}:{entry.alert_id},{len(entry.actor)}:{entry.actor},"
        f"{len(entry.reason)}:{entry.reason},{len(entry.cycle_id)}:{entry.cycle_id},"
        f"{len(entry.subject)}:{entry.subject},{len(entry.inputs_json)}:{entry.inputs_json}"
    )
    return text.encode()


class _Packer:
    """The fields of a row in the order of RECORD up to the hashes, each after its length, as
    PostgreSQL's binary COPY has them: what is hashed is what is stored.
    """

    def __init__(self) -> None:
        # What rows that are written together have in common.
        self._shared = _Texts()
        self._time, self._micros = _EPOCH, 0

    def pack(self, sequence: int, entry: Entry) -> bytes:
        (
            time, alert_id, kind, actor, reason, before, after, value, flip_value, inputs_json,
            cycle_id, subject, inputs,
        ) = entry  # fmt: skip
        if time is not self._time:
            self._time, self._micros = time, micros(time) - _COPY_EPOCH_MICROS
        shared = self._shared
        id, about = alert_id.encode(), subject.encode()
        return b"".join(
            (
                _NUMBERS.pack(8, sequence, 8, self._micros, 2, kind, 2, before, 2, after),
                _NONE if value is None else _FLOAT.pack(8, value),
                _NONE if flip_value is None else _FLOAT.pack(8, flip_value),
                _LENGTH.pack(len(id)),
                id,
                shared[actor],
                shared[reason],
                shared[inputs_json],
                shared[cycle_id],
                _LENGTH.pack(len(about)),
                about,
                _LENGTH.pack(len(inputs)),
                inputs,
            )
        )


class _Texts(dict[str, bytes]):
    """Texts after their lengths."""

    def __missing__(self, text: str) -> bytes:
        encoded = text.encode()
        packed = _LENGTH.pack(len(encoded)) + encoded
        if len(self) < _SHARED_TEXTS:
            self[text] = packed
        return packed


class Walk:
    """Follows the chain in portions; the first row that does not fit stops it.

    `ends`: hashes of the last rows of segments that are sealed, by their sequence. What is before
    the last of them may be gone from its beginning on, except for rows that say so.
    """

    def __init__(
        self, key: bytes, anchor: Anchor | None, ends: Mapping[int, bytes] | None = None
    ) -> None:
        self._sealer = _Sealer(key)
        self._anchor = anchor
        self._ends = ends or {}
        self._sealed_through = max(self._ends, default=0)
        self._head = Head()
        self._count = self._left = 0
        # Whether a row was seen that would have left with those before it.
        self._is_within = False
        self._bad = 0
        self._problem = ""
        self._anchored_sequence = 0

    def follow(self, rows: Sequence[Sealed]) -> None:
        for row in rows:
            self._count += 1
            if not self._problem:
                self._step(row)

    def _step(self, row: Sealed) -> None:
        if row.sequence != self._head.sequence + 1 and not self._has_left(row):
            self._stop(*self._missing(row.sequence - 1))
        elif row.previous_hash != self._head.hash:
            self._stop(row.sequence, "the row does not follow the one before it")
        elif not self._sealer.fits(row):
            self._stop(row.sequence, "the row is not what was written")
        elif self._ends.get(row.sequence, row.hash) != row.hash:
            self._stop(row.sequence, "the sealed file ends with another row")
        else:
            self._is_within |= row.entry.reason != SEALED or row.sequence > self._sealed_through
            self._head = Head(row.sequence, row.hash)
            if self._anchor is not None and row.hash == self._anchor.hash:
                self._anchored_sequence = row.sequence

    def _has_left(self, row: Sealed) -> bool:
        """Whether all between the last row and this one is sealed: it goes on from there."""
        last = row.sequence - 1
        if self._is_within or not self._head.sequence < last <= self._sealed_through:
            return False
        self._left += last - self._head.sequence
        self._head = Head(last, self._ends.get(last, row.previous_hash))
        return True

    def _missing(self, last: int) -> tuple[int, str]:
        """The first row that should be here, and what to say of it and those up to the last."""
        first = self._head.sequence + 1
        if self._is_within or last < first or not self._sealed_through:
            return first, "a row is missing here"
        first = max(first, self._sealed_through + 1)
        return first, f"rows {first} to {last} are missing, and no sealed file has them"

    def _stop(self, sequence: int, problem: str) -> None:
        self._bad, self._problem = sequence, problem

    def end(self, *, is_anchor_elsewhere: bool = False) -> Verdict:
        """An anchor that is not in the chain: its tail was cut, or it was replaced. Elsewhere: it
        is in a sealed file.
        """
        is_found = bool(self._anchored_sequence) or is_anchor_elsewhere
        if self._anchor is not None and not self._problem and not is_found:
            self._stop(
                self._anchor.sequence or self._head.sequence + 1,
                "the anchored row is not in the chain",
            )
        return Verdict(
            self._count,
            self._bad,
            self._problem,
            self._head.hash,
            self._count - max(self._anchored_sequence - self._left, 0),
            self._left,
        )


def micros(moment: datetime) -> int:
    """Since 1970 UTC, exactly."""
    return (moment - _EPOCH) // _MICROSECOND


def _exact(number: float | None) -> str:
    # PostgreSQL hands a float8 back bit for bit, and hex() is one text per bit pattern.
    return "" if number is None else number.hex()
