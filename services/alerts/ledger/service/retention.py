"""Rows of the ledger past their age: sealed in files, read back, named in the chain, then deleted.

Each moment may be the last: what was begun is gone on with at the next sweep, by whichever process.
A row is only deleted when its file is in its place and the row that names it has left the database.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from services.alerts.ledger.domain.chain import Head, Sealed, Walk, is_sealed_with
from services.alerts.ledger.domain.contents import Content, FileVerdict
from services.alerts.ledger.domain.segments import (
    LEAST_AGE,
    MOST_ROWS,
    WORTH_ROWS,
    Kept,
    Leaving,
    Seal,
    Segment,
    cut_pads,
    cut_proof,
    file_name,
    leaving,
    seal_entry,
)
from services.alerts.ledger.service.lines import line, lines
from services.alerts.ledger.service.pace import awaited, paced
from services.alerts.ledger.service.reading import (
    PORTION_ROWS,
    beginning,
    content_digest,
    read_back,
    readable,
)
from services.alerts.ledger.store.files import Draft, SegmentFiles
from services.alerts.service.commits import Commits, Decision, Entries
from services.alerts.service.snapshot_cache import SnapshotCache
from services.alerts.store.service_state import new_version
from shared.errors import FailedPrecondition, SonicError, invalid
from shared.log import get_logger
from shared.rpc import call

_CUT_ROWS = 5_000
# Rows that were told are read again for a day.
_TOLD_LATELY = timedelta(days=2)
_SWEPT = "retention"
NO_FOLDER = "no folder for sealed files is set: ALERTS_LEDGER_FOLDER"


@dataclass(frozen=True, slots=True)
class Sweep:
    """What one sweep did."""

    seals: list[Seal]
    left_count: int


@dataclass(frozen=True, slots=True)
class Exported:
    """A file read back, not yet named by the ledger."""

    draft: Draft
    segment: Segment


class Retention:
    """Any number of processes may sweep at once: of two that seal the same rows one is first."""

    def __init__(
        self, cache: SnapshotCache, commits: Commits, files: SegmentFiles | None, kept: Kept
    ) -> None:
        self._cache = cache
        self._commits = commits
        self.files = files
        self.kept = kept
        # Why the last sweep did not come to its end.
        self.problem = ""
        self._turn = asyncio.Lock()

    async def sweep(self) -> Sweep:
        """By the age that is set; nothing without a folder. Raises as `seal`."""
        if self.files is None:
            return Sweep([], 0)
        try:
            swept = await self._sweep(self.files, self.kept, _SWEPT, is_by_hand=False)
        except SonicError as error:
            self.problem = error.message
            raise
        self.problem = ""
        return swept

    async def seal(self, older_than: timedelta | None) -> Sweep:
        """Now, what is older; the age that is set without one. LEDGER_FOLDER_MISSING,
        LEDGER_FOLDER_UNUSABLE, LEDGER_BROKEN, LEDGER_CUT_REFUSED, SEALED_FILE_DAMAGED,
        LEDGER_KEY_MISSING, INVALID_FIELD.
        """
        if self.files is None:
            raise FailedPrecondition("LEDGER_FOLDER_MISSING", f"nothing leaves: {NO_FOLDER}")
        if older_than is not None and older_than < LEAST_AGE:
            raise invalid("older_than", f"at least {LEAST_AGE.days} days: younger rows are needed")
        if older_than is None and self.kept.is_for_ever:
            words = "needed: the ledger stays for ever (ALERTS_LEDGER_KEPT_DAYS is 0)"
            raise invalid("older_than", words)
        kept = self.kept if older_than is None else Kept(older_than)
        return await self._sweep(self.files, kept, call.person(), is_by_hand=True)

    async def _sweep(
        self, files: SegmentFiles, kept: Kept, actor: str, *, is_by_hand: bool
    ) -> Sweep:
        seals: list[Seal] = []
        left_count = 0
        async with self._turn:
            head_sequence = await self._head_sequence()
            if not head_sequence:
                # An empty ledger proves no key.
                return Sweep(seals, left_count)
            key = await self._commits.ledger.proven()
            await self._admit(key)
            while True:
                last = await self._last(key)
                if last is not None:
                    left_count += await self._leave(files, key, last)
                rows = await self.overdue(kept, last, head_sequence, is_by_hand=is_by_hand)
                if rows is None:
                    return Sweep(seals, left_count)
                if (told := await self._told_sequence(rows)) <= _first(last):
                    if seals:
                        return Sweep(seals, left_count)
                    words = f"row {told} still waits to be told: nothing leaves before it"
                    raise FailedPrecondition("LEDGER_ROW_WAITS", words)
                rows = replace(rows, before_sequence=told)
                sealed = await self._seal(files, key, last, rows, actor)
                if sealed is not None:
                    seals.append(sealed)

    async def _head_sequence(self) -> int:
        async with self._cache.begin_statement() as store:
            return (await store.ledger.head()).sequence

    async def _admit(self, key: bytes) -> None:
        """The database knows proofs of this key from now on, and of no other."""
        async with self._cache.begin_statement() as store:
            if not await store.seals.admit(cut_pads(key)):
                raise FailedPrecondition(
                    "LEDGER_CUT_REFUSED",
                    "rows of the ledger are not deleted: the database takes proofs of another key;"
                    " when nobody else's ledger is in it, its owner mends that with: "
                    "delete from alerts.cut_key",
                )

    async def _last(self, key: bytes) -> Seal | None:
        async with self._cache.begin_statement() as store:
            row = await store.seals.last()
        if row is None:
            return None
        seals, bad = readable([row])
        if bad or not is_sealed_with(key, row):
            raise _broken(row.sequence, "the row of a seal is not what was written")
        return seals[0]

    async def overdue(
        self, kept: Kept, last: Seal | None, head_sequence: int, *, is_by_hand: bool = False
    ) -> Leaving | None:
        """Which rows before the head may leave, when they are worth a file; by hand any is.
        LEDGER_BROKEN when the first is not there.
        """
        first, edge = _first(last), _first(last) + WORTH_ROWS - 1
        rows = leaving(kept, self._cache.clock.now(), head_sequence)
        async with self._cache.begin_statement() as store:
            if rows is None or first >= head_sequence:
                return None
            time = await store.seals.time(first)
            if time is None:
                raise _broken(first, "a row is missing here")
            if not rows.may(first, time):
                return None
            if is_by_hand or rows.is_overdue(first, time):
                return rows
            edge_time = await store.seals.time(edge)
        is_worth = edge_time is not None and rows.may(edge, edge_time)
        return rows if is_worth else None

    async def _told_sequence(self, rows: Leaving) -> int:
        """The first of these rows that waits to be told or was told lately; else what follows."""
        after = self._cache.clock.now() - _TOLD_LATELY
        async with self._cache.begin_statement() as store:
            told = await store.seals.first_told(after)
        return rows.before_sequence if told is None else min(told, rows.before_sequence)

    async def _seal(
        self, files: SegmentFiles, key: bytes, last: Seal | None, rows: Leaving, actor: str
    ) -> Seal | None:
        """A file made, read back and named in the ledger; None: another process was first."""
        exported = await self._export(
            files, key, last, lambda row: rows.may(row.sequence, row.entry.entry_time)
        )
        try:
            return await self._name(key, last, exported.segment, actor)
        finally:
            sealed = await self._last(key)
            if sealed is None or sealed.segment.file != exported.segment.file:
                await asyncio.to_thread(exported.draft.discard)

    async def _name(
        self, key: bytes, last: Seal | None, segment: Segment, actor: str
    ) -> Seal | None:
        """The row that says what the file holds, unless another one was written meanwhile."""
        entry = seal_entry(segment, self._cache.clock.now(), actor)
        async with self._commits.edit() as edit:
            present = await edit.store.seals.last()
            if (present.hash if present else b"") != (last.row.hash if last else b""):
                return None
            state = edit.snapshot.service_state
            # By which others see that their end of the ledger is old; rules are read again for it.
            after = replace(state, rule_version=new_version())
            columns = edit.snapshot.columns
            await edit.write(Decision(None, after, columns, entries=Entries.of([entry])))
        return await self._last(key)

    async def _export(
        self,
        files: SegmentFiles,
        key: bytes,
        last: Seal | None,
        may_leave: Callable[[Sealed], bool],
    ) -> Exported:
        """Rows from there on, each verified, in a file that was read back."""
        sequence, before_hash, digest = beginning([last] if last else [])
        content = Content(key, Head(sequence, before_hash), digest)
        walk = Walk(key, None, {sequence: before_hash} if sequence else None)
        draft = await asyncio.to_thread(files.draft)
        ends: list[Sealed] = []

        def put(rows: list[Sealed]) -> None:
            walk.follow(rows)
            draft.write(content.rows(lines(rows).encode(), len(rows)))

        is_done = False
        try:
            await asyncio.to_thread(draft.write, content.opening())
            while portion := await self._portion(ends, sequence, may_leave):
                await paced(put, portion)
                if (verdict := walk.end()).problem:
                    raise _broken(verdict.first_bad_sequence, verdict.problem)
                ends = [ends[0] if ends else portion[0], portion[-1]]
            await asyncio.to_thread(draft.write, content.closing())
            await asyncio.to_thread(draft.finish)
            segment = _segment(ends, before_hash, content.digest, digest)
            await asyncio.to_thread(files.name_draft, draft, segment.file)
            _check(segment, await read_back(draft.path, key), draft.path)
            is_done = True
        finally:
            if not is_done:
                await asyncio.to_thread(draft.discard)
        return Exported(draft, segment)

    async def _portion(
        self, ends: list[Sealed], sequence: int, may_leave: Callable[[Sealed], bool]
    ) -> list[Sealed]:
        """The next rows, up to the first that stays."""
        first = (ends[-1].sequence if ends else sequence) + 1
        left = sequence + MOST_ROWS + 1 - first
        if left <= 0:
            return []
        async with self._cache.begin_statement() as store:
            rows = await store.seals.portion(first, min(left, PORTION_ROWS))
        staying = next((place for place, row in enumerate(rows) if not may_leave(row)), len(rows))
        return rows[:staying]

    async def _leave(self, files: SegmentFiles, key: bytes, seal: Seal) -> int:
        """Rows of a sealed file that are still here leave, once it is in its place; how many."""
        segment = seal.segment
        async with self._cache.begin_statement() as store:
            first = await store.seals.first_sequence()
        if first is None or first > segment.last_sequence:
            return 0
        path, is_damaged = await self._whole(files, key, seal, is_all=first == segment[0])
        receipt = line(seal.row)
        await asyncio.to_thread(files.place, path, segment.file, receipt, is_damaged=is_damaged)
        async with self._cache.begin() as store:
            # In its receipt the row has left the database.
            await store.ledger.put_anchor(seal.sequence, seal.row.hash)
        left_count = 0
        while gone := await awaited(self._cut(seal, cut_proof(key, seal))):
            left_count += gone
        get_logger().info("ledger rows left", file=segment.file, rows=left_count)
        return left_count

    async def _cut(self, seal: Seal, proof: bytes) -> int:
        async with self._cache.begin_statement() as store:
            return await store.seals.cut(seal, proof, _CUT_ROWS)

    async def _whole(
        self, files: SegmentFiles, key: bytes, seal: Seal, *, is_all: bool
    ) -> tuple[Path, bool]:
        """A file with the content that the seal names, and whether what is in its place has
        another; made again while all of its rows are here.
        """
        segment = seal.segment
        is_damaged = False
        for path in await asyncio.to_thread(files.find, segment.file):
            if (await content_digest(path))[0] == segment.digest:
                return path, is_damaged
            is_damaged = True
        if is_all:
            before = await self._before(seal)
            exported = await self._export(
                files, key, before, lambda row: row.sequence <= segment.last_sequence
            )
            if exported.segment == segment:
                get_logger().warning("sealed file made again", file=segment.file)
                return exported.draft.path, is_damaged
            await asyncio.to_thread(exported.draft.discard)
        found = "was changed" if is_damaged else "is not there"
        raise FailedPrecondition(
            "SEALED_FILE_DAMAGED",
            f"{segment.file} {found} in {files.folder}; rows {segment.first_sequence} to"
            f" {segment.last_sequence} stay as far as they are here",
        )

    async def _before(self, seal: Seal) -> Seal | None:
        """The seal before."""
        async with self._cache.begin_statement() as store:
            seals, _ = readable(await store.seals.before(seal.sequence, 1))
        return seals[0] if seals else None


def _first(last: Seal | None) -> int:
    """The row after what is sealed."""
    return 1 if last is None else last.segment.last_sequence + 1


def _segment(
    ends: list[Sealed], previous_hash: bytes, digest: str, previous_digest: str
) -> Segment:
    first, last = ends
    return Segment(
        first.sequence,
        last.sequence,
        first.entry.entry_time,
        last.entry.entry_time,
        previous_hash,
        last.hash,
        file_name(first.sequence, last.sequence, digest),
        digest,
        previous_digest,
    )


def _check(segment: Segment, found: FileVerdict, path: Path) -> None:
    """The file holds what was written; LEDGER_FOLDER_UNUSABLE."""
    read = found.digest, found.first_sequence, found.last_sequence, found.last_hash
    written = segment.digest, segment.first_sequence, segment.last_sequence, segment.last_hash
    if found.problem or read != written:
        words = f"{path} was read back otherwise than written: {found.problem or 'other content'}"
        raise FailedPrecondition("LEDGER_FOLDER_UNUSABLE", words)


def _broken(sequence: int, problem: str) -> FailedPrecondition:
    return FailedPrecondition(
        "LEDGER_BROKEN",
        f"row {sequence} of the ledger: {problem}; nothing leaves before that is explained, see"
        " sonic ledger verify",
    )
