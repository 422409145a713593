"""Recordings listed, and judged again: as they were, or by other thresholds."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import numpy as np

from services.alerts.alerts.domain.alert_columns import AlertColumns
from services.alerts.alerts.domain.subjects import Subject
from services.alerts.domain.kinds import Level, kind_of, type_number
from services.alerts.recorder.domain.packing import Base, base_of, unpack
from services.alerts.recorder.domain.recording import Recording, changes_of
from services.alerts.recorder.domain.replay import (
    Presence,
    ReplayedChange,
    compared,
    judged_again,
    judged_by,
    told_counts,
    with_thresholds,
)
from services.alerts.recorder.service.messages import differing_messages
from services.alerts.recorder.store import About, KeptRecordings, Packed
from services.alerts.service.offload import offload
from services.alerts.service.snapshot_cache import SnapshotCache
from services.alerts.store.unit_of_work import Store
from services.alerts.thresholds.domain import Threshold, check_limits, check_scope
from shared import paging
from shared.errors import FailedPrecondition, InvalidArgument, NotFound, invalid
from shared.paging import Page

_MOST_RECORDINGS: Final = 3_000
_MOST_ALERTS: Final = 30_000_000
_MOST_CHANGES: Final = 500
_MOST_NAMED: Final = 100
_AT_ONCE: Final = 20
# Judging a row again costs about so many of arithmetic, unpacking with it.
_ROW_COST: Final = 20
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(9000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """A cycle, or all recordings between two moments; thresholds in the place of those recorded."""

    cycle_id: str
    start_time: datetime | None
    end_time: datetime | None
    thresholds: Sequence[Threshold] = ()


@dataclass(frozen=True, slots=True)
class Shown:
    """A change with its names; levels and type as numbers, time in microseconds."""

    micros: int
    cycle_id: str
    alert_key: int
    type: int
    subject: str
    wallet: str
    asset: str
    level_before: Level
    level_after: Level
    value: float | None
    notified: bool
    presence: Presence


@dataclass(slots=True)
class Replayed:
    """What came of it. `unread_message_count`: their rows of the ledger are not in the database any
    more. `told`: how often people were told of a danger, by level: as recorded and replayed.
    """

    recording_count: int = 0
    alert_count: int = 0
    differing_count: int = 0
    differing_cycles: list[str] = field(default_factory=list)
    message_count: int = 0
    differing_message_count: int = 0
    unread_message_count: int = 0
    first_micros: int = 0
    last_micros: int = 0
    change_count: int = 0
    changes: list[Shown] = field(default_factory=list)
    recorded_told: dict[Level, int] = field(default_factory=dict)
    replayed_told: dict[Level, int] = field(default_factory=dict)
    unjudged_thresholds: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ListedRecordings:
    page: Page[About]
    kept: KeptRecordings


class Replays:
    """Looks at what was recorded; changes nothing."""

    def __init__(self, cache: SnapshotCache) -> None:
        self._cache = cache
        # One at a time: the cycle wants the processor, too.
        self._one = asyncio.Lock()

    async def list(self, page_size: int, page_token: str) -> ListedRecordings:
        """Newest first."""
        context = paging.context("recordings")
        page = paging.parse(page_size, page_token, context=context)
        async with self._cache.begin_reading() as store:
            rows = await store.recordings.page(page)
            kept = await store.recordings.kept()
        return ListedRecordings(
            paging.cut(rows, page, context, lambda one: (one.recording_key,)), kept
        )

    async def replay(self, request: ReplayRequest) -> Replayed:
        """RECORDING_NOT_FOUND, TOO_MUCH_WORK, RECORDING_DAMAGED; INVALID_FIELD,
        LIMITS_OUT_OF_ORDER, UNKNOWN_NAME of thresholds.
        """
        for threshold in request.thresholds:
            check_scope(threshold.scope)
            check_limits(threshold)
        async with self._one, self._cache.begin_reading() as store:
            found = Replayed()
            run = _Run(store, request.thresholds, found)
            async for packed in _asked(store, request):
                await run.judge(packed)
            if not found.recording_count:
                raise await _nothing(store, request)
            run.end()
            return found


class _Run:
    """One recording after the other."""

    def __init__(self, store: Store, thresholds: Sequence[Threshold], found: Replayed) -> None:
        self._store = store
        self._thresholds = thresholds
        self._found = found
        self._bases: dict[int, Base] = {}
        # As the other thresholds left the alerts.
        self._columns: AlertColumns | None = None
        self._left = {one.scope.id: one for one in thresholds}

    async def judge(self, packed: Packed) -> None:
        try:
            base = await self._base(packed.base_key)
            recording = await offload(len(packed.content) * _ROW_COST, unpack, packed.content, base)
        except FailedPrecondition as error:
            raise FailedPrecondition(
                error.reason, f"recording {packed.recording_key}: {error.message}; ask without it"
            ) from error
        found, judgement = self._found, recording.judgement
        found.recording_count += 1
        found.alert_count += len(judgement.columns)
        found.first_micros = found.first_micros or judgement.now_micros
        found.last_micros = judgement.now_micros
        _add(found.recorded_told, told_counts(judgement.columns, recording.changes))
        if self._thresholds:
            await self._judge_by(recording)
        else:
            await self._judge_again(recording)

    async def _judge_again(self, recording: Recording) -> None:
        cost = len(recording.judgement.columns) * _ROW_COST
        again, found = await offload(cost, judged_again, recording), self._found
        messages = await differing_messages(self._store, recording, again)
        found.message_count += messages.count
        found.differing_message_count += messages.differing_count
        found.unread_message_count += messages.unread_count
        if not again.is_equal or messages.differing_count:
            self._differs(recording)
        _add(found.replayed_told, told_counts(recording.judgement.columns, again.changes))
        await self._show(recording, list(compared(recording, again.outcome)))

    async def _judge_by(self, recording: Recording) -> None:
        judgement = recording.judgement
        thresholds = with_thresholds(judgement, self._thresholds)
        outcome = await offload(
            len(judgement.columns) * _ROW_COST, judged_by, recording, thresholds, self._columns
        )
        self._columns = outcome.columns
        kinds = np.unique(judgement.columns.kind).tolist()
        for id, one in list(self._left.items()):
            if kind_of(one.scope.type, one.scope.condition) in kinds:
                del self._left[id]
        changes = list(compared(recording, outcome))
        if any(one.presence is not Presence.BOTH for one in changes):
            self._differs(recording)
        _add(self._found.replayed_told, told_counts(judgement.columns, changes_of(outcome)))
        await self._show(recording, changes)

    def _differs(self, recording: Recording) -> None:
        self._found.differing_count += 1
        if len(self._found.differing_cycles) < _MOST_NAMED:
            self._found.differing_cycles.append(recording.judgement.cycle_id)

    def end(self) -> None:
        """Kinds of thresholds that no alert was of: nothing was judged by them."""
        self._found.unjudged_thresholds = list(self._left)

    async def _base(self, key: int) -> Base:
        if key not in self._bases:
            content = await self._store.recordings.base(key) or b""
            # They are asked for in order: one is done when the next begins.
            recording = await offload(len(content) * _ROW_COST, unpack, content)
            self._bases = {key: base_of(recording, content)}
        return self._bases[key]

    async def _show(self, recording: Recording, changes: Sequence[ReplayedChange]) -> None:
        found = self._found
        found.change_count += len(changes)
        shown = changes[: max(_MOST_CHANGES - len(found.changes), 0)]
        subjects = await self._subjects(recording, shown)
        found.changes += [_shown(recording, one, subjects) for one in shown]

    async def _subjects(
        self, recording: Recording, changes: Sequence[ReplayedChange]
    ) -> Mapping[int, Subject]:
        """As recorded; else as they are called now."""
        columns, known = recording.judgement.columns, recording.judgement.subjects
        rows = np.array([one.row for one in changes], np.int64)
        keys = columns.subject_key[rows]
        keys = keys[~np.isin(keys, list(known))]
        return {**known, **(await self._store.subjects.read(keys) if len(keys) else {})}


def _shown(recording: Recording, one: ReplayedChange, subjects: Mapping[int, Subject]) -> Shown:
    judgement = recording.judgement
    columns = judgement.columns
    asset = columns.assets[columns.asset_key[one.row]]
    subject = subjects.get(int(columns.subject_key[one.row]))
    return Shown(
        micros=judgement.now_micros,
        cycle_id=judgement.cycle_id,
        alert_key=int(columns.alert_key[one.row]),
        type=type_number(int(columns.kind[one.row])),
        subject=asset if subject is None else subject.name or asset,
        wallet="" if subject is None else subject.wallet,
        asset=asset,
        level_before=one.level_before,
        level_after=one.level_after,
        value=one.value if math.isfinite(one.value) else None,
        notified=one.notified,
        presence=one.presence,
    )


def _add(counts: dict[Level, int], more: Mapping[Level, int]) -> None:
    for level, count in more.items():
        counts[level] = counts.get(level, 0) + count


async def _asked(store: Store, request: ReplayRequest) -> AsyncIterator[Packed]:
    if request.cycle_id:
        if request.start_time or request.end_time:
            raise invalid("cycle_id", "either this or start_time and end_time, not both")
        for packed in await store.recordings.of_cycle(request.cycle_id):
            yield packed
        return
    if request.start_time is None:
        raise invalid("start_time", "say this, or a cycle_id")
    start, end, last = request.start_time, request.end_time or _LATEST, 0
    extent = await store.recordings.extent(start, end)
    if extent.recording_count > _MOST_RECORDINGS or extent.alert_count > _MOST_ALERTS:
        raise InvalidArgument(
            "TOO_MUCH_WORK",
            f"{extent.recording_count:,} recordings of together {extent.alert_count:,} alerts; at"
            f" most {_MOST_RECORDINGS:,} and {_MOST_ALERTS:,}: ask for a shorter stretch",
            fields={"start_time": "a shorter stretch"},
        )
    while some := await store.recordings.between(start, end, last, _AT_ONCE):
        for packed in some:
            yield packed
        last = some[-1].recording_key


async def _nothing(store: Store, request: ReplayRequest) -> NotFound:
    kept = await store.recordings.kept()
    since = (
        f"recordings are kept since {kept.first_time:%Y-%m-%d %H:%M:%S} UTC"
        if kept.first_time
        else "nothing is recorded"
    )
    asked = f"cycle {request.cycle_id[:80]!r}" if request.cycle_id else "that stretch"
    return NotFound("RECORDING_NOT_FOUND", f"no recording of {asked}; {since}")
