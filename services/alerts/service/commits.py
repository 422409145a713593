"""The one way to write: what a use case decided by a snapshot, if that still holds."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Generic, NamedTuple, Protocol, Self, TypeVar

import numpy as np

from services.alerts.alerts.domain.alert_columns import AlertColumns, Column, no_rows
from services.alerts.alerts.domain.digests import Digest, Gathered
from services.alerts.domain.kinds import Level
from services.alerts.ledger.domain.chain import Entry
from services.alerts.service.ledger_writer import LedgerWriter, Sealing
from services.alerts.service.offload import without_collector
from services.alerts.service.snapshot_cache import Snapshot, SnapshotCache
from services.alerts.store.commit import DigestRows, Outbox, Writes
from services.alerts.store.service_state import ServiceState
from services.alerts.store.unit_of_work import Store
from shared.database.fence import Attempt, Step


class Answer(Protocol):
    """What a step answers."""

    def after(self, earlier: Self) -> Self:
        """With what earlier parts of the same step did."""
        ...


T = TypeVar("T")
AnswerT = TypeVar("AnswerT", bound=Answer)
_TRIES_UNLOCKED = 2
_BY_HAND = Step("EDIT")


class Notice(NamedTuple):
    """An entry, by its place, that is handed over at no less than a level. `noted`: the
    notification service alone is to know, before anything quieter than HIGH.
    """

    place: int
    level: int = Level.LOW
    noted: bool = False


@dataclass(frozen=True, slots=True)
class Entries:
    """Entries for the ledger, made when they are wanted, and those of them for the outbox: their
    places, levels of the domain from LOW on, and whether they are not for people. `digests` are
    among them; `ended`: digests that are over, each with the entry by which.
    """

    count: int = 0
    made: Callable[[], Iterable[Entry]] = tuple
    place: Column = field(default_factory=no_rows)
    level: Column = field(default_factory=no_rows)
    noted: Column = field(default_factory=no_rows)
    digests: Sequence[Digest] = ()
    ended: Sequence[tuple[int, int]] = ()

    @classmethod
    def gathered(
        cls, count: int, made: Callable[[], Iterable[Entry]], gathered: Gathered
    ) -> Entries:
        """Entries of which many may be told as one; those of its digests are counted and come
        last.
        """
        return cls(
            count + len(gathered.digests),
            made,
            gathered.place,
            gathered.level,
            gathered.noted,
            gathered.digests,
            gathered.ended,
        )

    @classmethod
    def of(cls, entries: Sequence[Entry], notices: Sequence[Notice] = ()) -> Entries:
        """Of entries that are there."""
        levels = [max(entries[notice.place].level_after, notice.level) for notice in notices]
        return cls(
            len(entries),
            lambda: entries,
            np.array([notice.place for notice in notices], np.int64),
            np.array(levels, np.int64),
            np.array([notice.noted for notice in notices], bool),
        )


@dataclass(frozen=True, slots=True)
class Decision(Generic[T]):
    """What a use case makes of a snapshot: its answer, everything as it is then, and what is
    written of it. Rows are of `columns`; see `Writes`. `also` is written in the same
    transaction.
    """

    answer: T
    service_state: ServiceState
    columns: AlertColumns
    levels: Column = field(default_factory=no_rows)
    settings: Column = field(default_factory=no_rows)
    readings: bool = False
    entries: Entries = Entries()
    also: Callable[[Store], Awaitable[None]] | None = None
    # Whether `also` must survive the machine; else the next cycle writes it again.
    is_also_lasting: bool = True
    # A part of a step that is too much for one commit: the rest is decided after it.
    is_part: bool = False
    # Of a step: called once it is committed, and never for a decision that was overtaken.
    committed: Callable[[], None] | None = None


Decide = Callable[[Snapshot, Store | None], Awaitable[Decision[T]]]


class Edit:
    """A change by a person or an event: the transaction, and everything as it is in it."""

    def __init__(self, commits: Commits, store: Store, snapshot: Snapshot) -> None:
        self._commits = commits
        self.store = store
        self.snapshot = snapshot
        self.is_noticed = False

    async def write(self, decision: Decision[None]) -> Snapshot:
        """Everything as it is afterwards."""
        _, self.snapshot = await self._commits.write_in(
            self.store, _BY_HAND, self.snapshot, decision
        )
        self.is_noticed = bool(len(decision.entries.place))
        return self.snapshot


class Commits:
    """Steps are decided by what this process knows, again when that was old; edits locked."""

    def __init__(self, cache: SnapshotCache, ledger: LedgerWriter) -> None:
        self._cache = cache
        self.ledger = ledger
        # Steps of one process do not overtake each other.
        self._turn = asyncio.Lock()

    async def step(
        self, step: Step, decide: Decide[AnswerT], end_seconds: float = math.inf
    ) -> AnswerT:
        """Decide and write, once a cycle; the answer given, or the one recorded before.

        Parts are committed one after the other, until all is done or the next would hardly end by
        `end_seconds` of the monotonic clock: the answer of the last one then, and who calls again
        goes on from there.
        """
        async with self._turn:
            earlier: AnswerT | None = None
            while True:
                began_seconds = self._cache.clock.monotonic()
                answer, is_part = await self._decided(step, _after(earlier, decide))
                now_seconds = self._cache.clock.monotonic()
                if not is_part or now_seconds + 2 * (now_seconds - began_seconds) > end_seconds:
                    return answer
                earlier = answer

    async def _decided(self, step: Step, decide: Decide[T]) -> tuple[T, bool]:
        """The answer, and whether it is of a part.

        Overtaken by others it is decided again, the third time behind the lock: then `decide` gets
        the store it must read from, and asks nobody else. Raises StaleEpoch, EpochAhead.
        """
        snapshot = self._cache.last()
        for _ in range(_TRIES_UNLOCKED):
            snapshot = snapshot or await self._cache.present()
            decision = await decide(snapshot, None)
            made, after = await self._attempt(step, snapshot, decision)
            if made.recorded is not None or made.is_done:
                return self._finished(made, decision, after)
            snapshot = None
        async with self._cache.begin() as store:
            await store.enter(step)
            snapshot = await self._cache.locked(store)
            decision = await decide(snapshot, store)
            made, after = await self.write_in(store, step, snapshot, decision)
        return self._finished(made, decision, after)

    @asynccontextmanager
    async def reading(self, store: Store | None) -> AsyncIterator[Store]:
        """For `decide`: the store it got, or one that reads one moment."""
        if store is not None:
            yield store
            return
        async with self._cache.begin_reading() as opened:
            yield opened

    @asynccontextmanager
    async def edit(self, step: Step = _BY_HAND) -> AsyncIterator[Edit]:
        """A transaction that holds the lock; what it wrote is kept when it ends well.

        Raises StaleEpoch, EpochAhead when the step has a cycle.
        """
        async with self._cache.begin() as store:
            await store.enter(step)
            before = await self._cache.locked(store)
            edit = Edit(self, store, before)
            yield edit
        # Other thresholds are read again at the next use.
        kept = before.service_state.threshold_version
        if edit.snapshot.service_state.threshold_version == kept and edit.snapshot is not before:
            self._finish(edit.snapshot, is_noticed=edit.is_noticed)

    def _finished(self, made: Attempt[T], decision: Decision[T], after: Snapshot) -> tuple[T, bool]:
        if made.recorded is not None:
            return made.recorded, False
        self._finish(after, is_noticed=bool(len(decision.entries.place)))
        if decision.committed is not None:
            decision.committed()
        return decision.answer, decision.is_part

    def _finish(self, after: Snapshot, *, is_noticed: bool) -> None:
        self._cache.keep(after)
        if is_noticed:
            self._cache.outbox_filled()

    async def _attempt(
        self, step: Step, snapshot: Snapshot, decision: Decision[T]
    ) -> tuple[Attempt[T], Snapshot]:
        key = await self.ledger.proven() if decision.entries.count else b""
        writes = _writes(snapshot, decision)
        is_one = decision.also is None and not (writes.are_many or writes.digests.begun)
        begin = self._cache.begin_statement if is_one else self._cache.begin
        async with begin() as store:
            return await self._write(store, step, snapshot, decision, key)

    async def write_in(
        self, store: Store, step: Step, snapshot: Snapshot, decision: Decision[T]
    ) -> tuple[Attempt[T], Snapshot]:
        """What was decided by the snapshot, in this transaction; everything as it is then."""
        key = await self.ledger.key(store) if decision.entries.count else b""
        return await self._write(store, step, snapshot, decision, key)

    async def _write(
        self, store: Store, step: Step, snapshot: Snapshot, decision: Decision[T], key: bytes
    ) -> tuple[Attempt[T], Snapshot]:
        entries, writes = decision.entries, _writes(snapshot, decision)
        must_last = decision.also is not None and decision.is_also_lasting
        sealing = Sealing(key, snapshot.head, entries.count, entries.made)
        with without_collector(entries.count):
            try:
                made = await store.commit.write(
                    step,
                    decision.answer,
                    self._cache.clock.now(),
                    (snapshot.service_state, decision.service_state),
                    writes,
                    sealing.portions,
                    in_a_hurry=writes.are_nothing_new and not must_last,
                    is_part=decision.is_part,
                )
                if made.is_done and decision.also is not None:
                    await decision.also(store)
            finally:
                sealing.cancel()
        after = snapshot.after(decision.service_state, decision.columns, sealing.head)
        return made, after


def _after(earlier: AnswerT | None, decide: Decide[AnswerT]) -> Decide[AnswerT]:
    """The same with what earlier parts did."""
    if earlier is None:
        return decide

    async def decided(snapshot: Snapshot, store: Store | None) -> Decision[AnswerT]:
        decision = await decide(snapshot, store)
        return replace(decision, answer=decision.answer.after(earlier))

    return decided


def _writes(snapshot: Snapshot, decision: Decision[T]) -> Writes:
    entries, first = decision.entries, snapshot.head.sequence + 1
    digests = DigestRows(
        [
            (
                one.sequence,
                list(one.channels),
                list(one.ended_incidents),
                one.heard_elsewhere,
                (first + one.members).tolist(),
            )
            for one in entries.digests
        ],
        [(sequence, first + place) for sequence, place in entries.ended],
    )
    return Writes(
        decision.columns,
        decision.levels,
        decision.settings,
        decision.readings,
        entries.count,
        Outbox(first + entries.place, entries.level, entries.noted),
        digests,
    )
