"""Sealed files read and judged, in portions outside the event loop; also where no server runs."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from services.alerts.ledger.domain.chain import GENESIS, Sealed, is_sealed_with
from services.alerts.ledger.domain.contents import FileVerdict, Reader, row_of
from services.alerts.ledger.domain.segments import Seal, seal_of
from services.alerts.ledger.service.pace import paced
from services.alerts.ledger.store.files import Unreadable, read_lines, read_receipt

PORTION_ROWS = 500


async def read_back(path: Path, key: bytes) -> FileVerdict:
    """A file just written, row by row; who waits for the event loop comes first."""
    reader, lines = Reader(key), read_lines(path)
    try:
        while portion := await paced(_portion, lines):
            await paced(reader.follow, portion)
    except Unreadable as error:
        return reader.end(str(error))
    return reader.end()


async def content_digest(path: Path, needle: bytes = b"") -> tuple[str, bool]:
    """SHA-256 of what a file holds, hexadecimal, and whether a line holds the needle; empty when it
    cannot be read to its end.
    """
    digest, lines, is_found = hashlib.sha256(), read_lines(path), False

    def follow() -> bool:
        nonlocal is_found
        portion = _portion(lines)
        for line in portion:
            digest.update(line)
            is_found = is_found or (bool(needle) and needle in line)
        return bool(portion)

    try:
        while await asyncio.to_thread(follow):
            pass
    except Unreadable:
        return "", False
    return digest.hexdigest(), is_found


def _portion(lines: Iterator[bytes]) -> list[bytes]:
    return list(islice(lines, PORTION_ROWS))


@dataclass(frozen=True, slots=True)
class JudgedSegment:
    """A file, what was found in it, and what is wrong with its place among the others."""

    path: Path
    verdict: FileVerdict
    problem: str


def judge(paths: Sequence[Path], key: bytes) -> list[JudgedSegment]:
    """Files in the order in which they are given: each by itself, with its receipt, and as what
    follows the one before it. Needs no database.
    """
    judged: list[JudgedSegment] = []
    for path in paths:
        reader = Reader(key)
        unreadable = ""
        try:
            reader.follow(read_lines(path))
        except Unreadable as error:
            unreadable = str(error)
        verdict = reader.end(unreadable)
        before = judged[-1].verdict if judged else None
        problem = (
            verdict.problem or _misplaced(before, verdict) or _other_receipt(path, verdict, key)
        )
        judged.append(JudgedSegment(path, verdict, problem or _missold(verdict, judged)))
    return judged


def _misplaced(before: FileVerdict | None, found: FileVerdict) -> str:
    if before is None:
        is_first = found.first_sequence == 1
        return "rows before it are claimed to be none" if is_first and found.previous_hash else ""
    if found.first_sequence > before.last_sequence + 1:
        first, last = before.last_sequence + 1, found.first_sequence - 1
        return f"the file with rows {first} to {last} is missing before it"
    if found.first_sequence <= before.last_sequence:
        return "it does not come after the file before it"
    follows = found.previous_hash, found.previous_digest
    if follows != (before.last_hash, before.digest):
        return "it follows another file than the one before it"
    return ""


def _other_receipt(path: Path, found: FileVerdict, key: bytes) -> str:
    """What the ledger said of a file lies beside it; without one there is nothing to compare."""
    text = read_receipt(path)
    return other_receipt(text, found.digest, key) if text else ""


def other_receipt(text: str, digest: str, key: bytes) -> str:
    """What is wrong with a receipt; empty: nothing."""
    try:
        row = row_of(text.encode())
        seal = seal_of(row)
    except (ValueError, LookupError, TypeError, AttributeError):
        return "its receipt (.seal) is no row of a ledger"
    if not is_sealed_with(key, row):
        return "its receipt (.seal) is not what was written"
    if seal.segment.digest != digest:
        return "its receipt (.seal) speaks of other content"
    return ""


def _missold(found: FileVerdict, before: Sequence[JudgedSegment]) -> str:
    """Rows of seals in it speak of earlier files: of those that are given."""
    by_rows = {(one.verdict.first_sequence, one.verdict.last_sequence): one for one in before}
    for row in found.seals:
        segment = seal_of(row).segment
        other = by_rows.get((segment.first_sequence, segment.last_sequence))
        if other is not None and other.verdict.digest != segment.digest:
            return f"row {row.sequence} of it speaks of another {other.path.name}"
    return ""


def readable(rows: Sequence[Sealed]) -> tuple[list[Seal], int]:
    """What rows of seals say, up to the first that says nothing: its sequence, else 0."""
    seals: list[Seal] = []
    for row in rows:
        try:
            seals.append(seal_of(row))
        except ValueError:
            return seals, row.sequence
    return seals, 0


def ends(seals: Sequence[Seal]) -> dict[int, bytes]:
    """Hashes of the last rows of what is sealed."""
    return {one.segment.last_sequence: one.segment.last_hash for one in seals}


def beginning(seals: Sequence[Seal]) -> tuple[int, bytes, str]:
    """What the next file follows: sequence and hash of the last row sealed, digest of its file."""
    if not seals:
        return 0, GENESIS, ""
    segment = seals[-1].segment
    return segment.last_sequence, segment.last_hash, segment.digest
