"""Keeps what evaluations read: written after their commit, beside the cycle, never in its way."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from services.alerts.alerts.domain.evaluation import Outcome
from services.alerts.recorder.domain.packing import NO_BASE, Base, base_of, pack
from services.alerts.recorder.domain.recording import Judgement, Recording, recorded
from services.alerts.recorder.store import About
from services.alerts.service.offload import offload
from services.alerts.service.snapshot_cache import Begin
from shared.clock import Clock
from shared.errors import Conflict, Unavailable
from shared.log import get_logger

# Judgements that wait for a database that does not answer; they hold columns.
_MOST_WAITING: Final = 8
# What differs from a base grows; a new one costs as much as some recordings.
_MOST_OF_A_BASE: Final = 60
# A base is outgrown when one in so many positions is not of it.
_OUTGROWN_SHARE: Final = 10
# A row costs about so many of arithmetic.
_ROW_COST: Final = 20


@dataclass(frozen=True, slots=True)
class RecordingsAge:
    """How long recordings stay, None: nothing is recorded; and how much of them together."""

    age: timedelta | None
    most_bytes: int


class Recorder:
    """A failing database costs recordings, and no evaluation anything."""

    def __init__(self, begin: Begin, clock: Clock, kept: RecordingsAge) -> None:
        self.kept = kept
        self.filled: Callable[[], None] = _nobody
        self._begin = begin
        self._clock = clock
        self._waiting: deque[tuple[Judgement, Outcome]] = deque()
        self._base: tuple[int, Base] | None = None
        self._written_count = 0

    @property
    def is_on(self) -> bool:
        return self.kept.age is not None

    def take(self, judgement: Judgement, outcome: Outcome) -> None:
        """Of a commit. Columns are replaced and never changed, so that nothing is copied."""
        if not self.is_on:
            return
        if len(self._waiting) >= _MOST_WAITING:
            lost, _ = self._waiting.popleft()
            get_logger().warning("a cycle was not recorded", cycle_id=lost.cycle_id)
        self._waiting.append((judgement, outcome))
        self.filled()

    async def write(self) -> None:
        """All that waits."""
        while self._waiting:
            first = self._waiting[0]
            try:
                await self._write_one(*first)
            except (Conflict, Unavailable):
                raise
            except Exception as error:  # noqa: BLE001  # it would fail again; the next may not
                cycle_id = first[0].cycle_id
                get_logger().error("a cycle was not recorded", cycle_id=cycle_id, exc_info=error)
                self._base = None
            # It may have been dropped meanwhile.
            if self._waiting and self._waiting[0] is first:
                self._waiting.popleft()

    async def forget(self) -> None:
        """What is past its age, and the oldest of what is too much; all when nothing is kept."""
        async with self._begin() as store:
            if self.kept.age is None:
                await store.recordings.clear()
                return
            await store.recordings.forget(self._clock.now() - self.kept.age, self.kept.most_bytes)

    async def _write_one(self, judgement: Judgement, outcome: Outcome) -> None:
        cost = (len(judgement.columns) + len(judgement.inputs.positions)) * _ROW_COST
        recording = await offload(cost, recorded, judgement, outcome)
        base = self._fitting(recording)
        if base is not None and await self._append(recording, base, cost):
            return
        base = await self._new_base(recording, cost)
        await self._append(recording, base, cost)

    def _fitting(self, recording: Recording) -> tuple[int, Base] | None:
        if self._base is None or self._written_count >= _MOST_OF_A_BASE:
            return None
        known = self._base[1].positions["position_key"]
        count = len(recording.judgement.inputs.positions)
        is_outgrown = abs(count - len(known)) * _OUTGROWN_SHARE > len(known)
        # An answer without positions is soon followed by one with them.
        return None if is_outgrown and count else self._base

    async def _new_base(self, recording: Recording, cost: int) -> tuple[int, Base]:
        content = await offload(cost, pack, recording, NO_BASE)
        async with self._begin() as store:
            key = await store.recordings.begin(content)
        self._base, self._written_count = (key, base_of(recording, content)), 0
        return self._base

    async def _append(self, recording: Recording, base: tuple[int, Base], cost: int) -> bool:
        content = await offload(cost, pack, recording, base[1])
        async with self._begin() as store:
            is_there = await store.recordings.append(_about(recording, content), base[0], content)
        self._written_count += 1
        return is_there


def _about(recording: Recording, content: bytes) -> About:
    judgement = recording.judgement
    return About(
        recording_key=0,
        cycle_id=judgement.cycle_id,
        recorded_time=datetime.fromtimestamp(judgement.now_micros / 1_000_000, UTC),
        alert_count=len(judgement.columns),
        position_count=len(judgement.inputs.positions),
        change_count=len(recording.changes.rows),
        notified_count=recording.notified_count,
        size_bytes=len(content),
    )


def _nobody() -> None:
    """Nobody writes."""
