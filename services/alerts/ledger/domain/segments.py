"""Segments of the chain that leave for sealed files: which rows may, what the row of a seal says,
and what gives the right to delete them.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from services.alerts.ledger.domain.chain import GENESIS, SEALED, Entry, Sealed

# What is younger always stays: of a position that is back people are told for 7 days, and rows that
# wait to be told are younger still.
LEAST_AGE = timedelta(days=8)
# Rows of one file, and how many are worth one before they are overdue.
MOST_ROWS, WORTH_ROWS = 200_000, 20_000
_OVERDUE = timedelta(days=30)
_BLOCK_BYTES = 64
_CUT = struct.Struct(">q32sqq32s")


class Segment(NamedTuple):
    """Rows in a row, with the hash before the first and of the last; `digest`: SHA-256 of what the
    file holds, `previous_digest`: of the segment before it, empty for the first.
    """

    first_sequence: int
    last_sequence: int
    first_time: datetime
    last_time: datetime
    previous_hash: bytes
    last_hash: bytes
    file: str
    digest: str
    previous_digest: str

    @property
    def row_count(self) -> int:
        return self.last_sequence - self.first_sequence + 1


class Seal(NamedTuple):
    """The row of the ledger that says that a segment is sealed."""

    segment: Segment
    row: Sealed

    @property
    def sequence(self) -> int:
        return self.row.sequence


@dataclass(frozen=True, slots=True)
class Kept:
    """How long rows stay: `age`, None = for ever; at most `row_count` of them, 0 = any number, but
    those younger than LEAST_AGE in any case.
    """

    age: timedelta | None
    row_count: int = 0

    @property
    def is_for_ever(self) -> bool:
        return self.age is None


@dataclass(frozen=True, slots=True)
class Leaving:
    """Which rows may leave: those before `before_sequence` that are older than `before_time`, or
    up to `beyond_sequence` and older than `youngest_time`.
    """

    before_sequence: int
    before_time: datetime
    beyond_sequence: int
    youngest_time: datetime

    def may(self, sequence: int, entry_time: datetime) -> bool:
        if sequence >= self.before_sequence:
            return False
        is_beyond = sequence <= self.beyond_sequence and entry_time < self.youngest_time
        return is_beyond or entry_time < self.before_time

    def is_overdue(self, sequence: int, entry_time: datetime) -> bool:
        """Whether it should have left a month ago."""
        return self.may(sequence, entry_time) and entry_time < self.before_time - _OVERDUE


def leaving(kept: Kept, now: datetime, head_sequence: int) -> Leaving | None:
    """By the settings, all but the last row; None: rows stay for ever."""
    if kept.age is None:
        return None
    beyond = head_sequence - kept.row_count if kept.row_count else 0
    return Leaving(head_sequence, now - max(kept.age, LEAST_AGE), beyond, now - LEAST_AGE)


def file_name(first_sequence: int, last_sequence: int, digest: str) -> str:
    """Sorted as the rows are; of other content it is another one."""
    return f"ledger-{first_sequence:012}-{last_sequence:012}-{digest[:8]}.jsonl.gz"


def seal_entry(segment: Segment, now: datetime, actor: str) -> Entry:
    """The row that says that a segment is sealed."""
    facts = segment._asdict() | {
        "first_time": segment.first_time.isoformat(),
        "last_time": segment.last_time.isoformat(),
        "previous_hash": segment.previous_hash.hex(),
        "last_hash": segment.last_hash.hex(),
        "row_count": segment.row_count,
    }
    text = json.dumps(facts)
    return Entry(now, "", 0, actor, SEALED, 0, 0, None, None, text, "", segment.file)


def seal_of(row: Sealed) -> Seal:
    """What the row of a seal says; ValueError when it says nothing that can be read."""
    facts = json.loads(row.entry.inputs_json)
    try:
        segment = Segment(
            int(facts["first_sequence"]),
            int(facts["last_sequence"]),
            datetime.fromisoformat(facts["first_time"]),
            datetime.fromisoformat(facts["last_time"]),
            bytes.fromhex(facts["previous_hash"]),
            bytes.fromhex(facts["last_hash"]),
            str(facts["file"]),
            str(facts["digest"]),
            str(facts["previous_digest"]),
        )
    except (LookupError, TypeError) as error:
        raise ValueError(f"row {row.sequence} is no seal") from error
    return Seal(segment, row)


def disorder(seals: Sequence[Seal]) -> tuple[int, str]:
    """The first seal that does not follow the one before it, and how; 0 and nothing: all do."""
    last_sequence, last_hash, last_digest = 0, GENESIS, ""
    for seal in seals:
        segment = seal.segment
        if not last_sequence < segment.last_sequence < seal.sequence:
            return seal.sequence, "the seal is of other rows than those before it"
        follows = segment.first_sequence, segment.previous_hash, segment.previous_digest
        if follows != (last_sequence + 1, last_hash, last_digest):
            return seal.sequence, "the sealed file does not follow the one before it"
        last_sequence, last_hash = segment.last_sequence, segment.last_hash
        last_digest = segment.digest
    return 0, ""


def cut_pads(key: bytes) -> tuple[bytes, bytes]:
    """What the database keeps to know a proof again: the blocks HMAC begins with (RFC 2104), of a
    key that is made of the ledger's and does not lead back to it.
    """
    block = _cut_key(key).ljust(_BLOCK_BYTES, b"\0")
    inner, outer = (bytes(byte ^ pad for byte in block) for pad in (0x36, 0x5C))
    return inner, outer


def cut_proof(key: bytes, seal: Seal) -> bytes:
    """Without which the database deletes nothing: HMAC over the seal and the rows it covers."""
    segment = seal.segment
    text = _CUT.pack(
        seal.sequence,
        seal.row.hash,
        segment.first_sequence,
        segment.last_sequence,
        segment.last_hash,
    )
    return hmac.digest(_cut_key(key), text, hashlib.sha256)


def _cut_key(key: bytes) -> bytes:
    return hmac.digest(key, b"sonic ledger cut", hashlib.sha256)
