"""The chain followed through the database, and the sealed files before it. Writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.alerts.ledger.domain.chain import Anchor, Verdict, Walk, is_sealed_with
from services.alerts.ledger.domain.segments import Seal, disorder
from services.alerts.ledger.service.reading import content_digest, ends, other_receipt, readable
from services.alerts.ledger.store.files import SegmentFiles
from services.alerts.service.ledger_writer import LedgerWriter
from services.alerts.service.offload import PYTHON_ROW_COST, offload
from services.alerts.service.snapshot_cache import SnapshotCache
from shared.errors import invalid

_NO_SEAL = "the row of a seal is not what was written"


@dataclass(frozen=True, slots=True)
class FilesVerdict:
    """Of sealed files: the one that does not fit, and whether one of them has the anchor."""

    checked_count: int = 0
    bad_file: str = ""
    problem: str = ""
    has_anchor: bool = False


@dataclass(frozen=True, slots=True)
class Verified:
    """The chain in the database, and the files that it names."""

    verdict: Verdict
    files: FilesVerdict
    file_count: int

    @property
    def problem(self) -> str:
        return self.verdict.problem or self.files.problem

    @property
    def intact(self) -> bool:
        return not self.problem


class Verification:
    """`files` None: sealed files are not here to be looked at."""

    def __init__(
        self, cache: SnapshotCache, ledger: LedgerWriter, files: SegmentFiles | None
    ) -> None:
        self._cache = cache
        self._ledger = ledger
        self._files = files

    async def verify(self, anchor_hash: str, *, database_only: bool = False) -> Verified:
        """With no anchor given, the last head that left this service is used."""
        given = _hash(anchor_hash) if anchor_hash else None
        async with self._cache.begin_reading() as store:
            key = await self._ledger.key(store)
            rows = await store.seals.all()
            seals, unreadable = readable(rows)
            first = await store.seals.first_sequence()
            anchor = given or await store.ledger.anchor()
            walk = Walk(key, anchor, ends(seals))
            async for portion in store.ledger.walk():
                await offload(len(portion) * PYTHON_ROW_COST, walk.follow, portion)
        others = next((row.sequence for row in rows if not is_sealed_with(key, row)), 0)
        if unreadable or others:
            found = FilesVerdict(problem=f"row {unreadable or others}: {_NO_SEAL}")
        elif self._files is None or database_only:
            found = FilesVerdict(problem=_said(disorder(seals)))
        else:
            found = await self._checked(self._files, key, seals, first or 0, anchor)
        # Of files that nobody looked at nothing is known.
        is_elsewhere = found.has_anchor or (bool(seals) and not found.checked_count)
        return Verified(walk.end(is_anchor_elsewhere=is_elsewhere), found, len(rows))

    async def _checked(
        self,
        files: SegmentFiles,
        key: bytes,
        seals: Sequence[Seal],
        first_sequence: int,
        anchor: Anchor | None,
    ) -> FilesVerdict:
        if problem := _said(disorder(seals)):
            return FilesVerdict(problem=problem)
        needle = b"" if anchor is None else f'"hash": "{anchor.hash.hex()}"'.encode()
        placed = set(files.names())
        checked_count, has_anchor = 0, False
        for seal in seals:
            name = seal.segment.file
            if name not in placed and first_sequence <= seal.segment.first_sequence:
                # It is being made: its rows are all in the database.
                continue
            problem = "the file is not there"
            if name in placed:
                digest, is_found = await content_digest(files.folder / name, needle)
                has_anchor |= is_found
                problem = "" if digest == seal.segment.digest else "the file was changed"
                problem = problem or _said_of(files.receipt(name), digest, key)
            if problem:
                return FilesVerdict(checked_count, name, f"{name}: {problem}", has_anchor)
            checked_count += 1
        strangers = sorted(placed - {seal.segment.file for seal in seals})
        if strangers:
            words = "no row of the ledger speaks of the file: its end was cut, or it is another's"
            found = f"{strangers[0]}: {words}"
            return FilesVerdict(checked_count, strangers[0], found, has_anchor)
        return FilesVerdict(checked_count, has_anchor=has_anchor)


def _said_of(receipt: str, digest: str, key: bytes) -> str:
    return other_receipt(receipt, digest, key) if receipt else ""


def _said(found: tuple[int, str]) -> str:
    sequence, problem = found
    return f"row {sequence}: {problem}" if problem else ""


def _hash(text: str) -> Anchor:
    try:
        return Anchor(bytes.fromhex(text))
    except ValueError as error:
        problem = "not hexadecimal"
        raise invalid("anchor_hash", problem, problem) from error
