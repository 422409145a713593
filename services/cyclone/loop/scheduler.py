"""The work of who holds the lease, in order: an unfinished cycle, a request, the due slot."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from services.cyclone.domain import bounds, pulls, schedule, steps
from services.cyclone.domain.ages import Ages
from services.cyclone.domain.cycle import Cycle, Event, Severity, begun
from services.cyclone.domain.schedule import Setting
from services.cyclone.loop.lease_keeper import Begin as BeginLease
from services.cyclone.loop.lease_keeper import HeldLease
from services.cyclone.loop.runner import Runner
from services.cyclone.loop.stream_follower import StreamFollower
from services.cyclone.store.progress import Fenced, ProgressStore
from shared.clock import Clock
from shared.names import new_id

_FORGET_EVERY_SECONDS = 3600.0
# A schedule that is off is read when a notice comes; this is for a notice that got lost.
_OFF_SECONDS = 60.0


class Scheduler:
    """`work` runs until it is cancelled or raises Fenced."""

    def __init__(
        self,
        store: ProgressStore,
        begin_lease: BeginLease,
        runner: Runner,
        streams: StreamFollower,
        clock: Clock,
        *,
        scheduled: bool,
        ages: Ages,
    ) -> None:
        self._store = store
        self._begin_lease = begin_lease
        self._runner = runner
        self._streams = streams
        self._clock = clock
        self._scheduled = scheduled
        self._ages = ages
        self._read_at: tuple[datetime, float] | None = None
        self._forgot_at = float("-inf")
        self._begun_at = float("-inf")
        self._cycle_seconds = 0.0
        self._vain_count = 0
        self._held_up = False
        # As last read.
        self._interval = bounds.USUAL_INTERVAL

    async def work(self, held_lease: HeldLease) -> None:
        self._read_at = None
        setting, _ = await self._setting(held_lease.epoch)
        await self._runner.begin(held_lease, setting.interval)
        # When the owner before began its last cycle is not known.
        self._begun_at = self._clock.monotonic()
        self._cycle_seconds, self._vain_count, self._held_up = 0.0, 0, False
        async with self._streams.following(held_lease):
            await self._work(held_lease)

    async def _work(self, held_lease: HeldLease) -> None:
        anew = True
        while True:
            held_lease.wake.clear()
            if await self._run_waiting(held_lease):
                continue
            wait_seconds = await self._run_slot(held_lease, anew)
            anew = False
            if wait_seconds:
                wait_seconds = await self._run_pulled(held_lease, wait_seconds)
            if wait_seconds:
                await self._forget(held_lease.epoch)
                await self._pause(held_lease, wait_seconds)

    async def _run_waiting(self, held_lease: HeldLease) -> bool:
        cycle = await self._store.take(held_lease.epoch, self._clock.now())
        if cycle is None:
            return False
        self._begun_at = self._clock.monotonic()
        async with self._runner.asking_mode(self._interval) as mode:
            # Read now: who has just changed the schedule and asks for a cycle means it.
            setting, _ = await self._setting(held_lease.epoch)
            await self._runner.run(cycle, held_lease, mode, setting.interval)
        return True

    async def _run_slot(self, held_lease: HeldLease, anew: bool) -> float:
        """Runs the slot that is due; answers the seconds to wait, 0 to look again at once."""
        setting, now = await self._setting(held_lease.epoch)
        if not (self._scheduled and setting.enabled):
            self._streams.take()
            self._held_up = False
            return _OFF_SECONDS
        due = schedule.due(setting, now, anew=anew, held_up=self._held_up)
        if due.slot_time is None and not due.missed_count:
            self._held_up = False
            return (setting.next_time - now).total_seconds()
        cycle_id = new_id("cycle")
        async with self._runner.asking_mode(setting.interval) as mode:
            written = await self._store.open_slot(
                held_lease.epoch, setting, due, cycle_id, steps.NAMES, now
            )
            if not written:
                return 0.0
            if due.missed_count:
                await self._log_missed(held_lease.epoch, due.missed_count, now)
            if due.slot_time is not None:
                # It looks at all that was told until now.
                self._streams.take()
                self._begun_at = self._clock.monotonic()
                cycle = begun(cycle_id, due.slot_time, steps.NAMES, held_lease.epoch, now)
                ended = await self._runner.run(cycle, held_lease, mode, setting.interval)
                self._note(ended, is_pulled=False)
                await self._forget(held_lease.epoch)
        return 0.0

    async def _run_pulled(self, held_lease: HeldLease, slot_seconds: float) -> float:
        """Runs a cycle that a stream asked for; answers the seconds to wait, 0 to look again."""
        if not self._streams.asks:
            return slot_seconds
        begun_seconds_ago = self._clock.monotonic() - self._begun_at
        rest_seconds = pulls.rest_seconds(self._vain_count, self._interval.total_seconds())
        wait = pulls.wait_seconds(
            begun_seconds_ago, slot_seconds, self._cycle_seconds, rest_seconds
        )
        if wait != 0:
            return slot_seconds if wait is None else wait
        self._begun_at = self._clock.monotonic()
        told, now, id = ", ".join(self._streams.take()), self._clock.now(), new_id("cycle")
        async with self._runner.asking_mode(self._interval) as mode:
            line = Event(now, Severity.INFO, "stream", f"pulled forward by {told}", id)
            await self._store.open_pulled(held_lease.epoch, id, steps.NAMES, now, [line])
            cycle = begun(id, None, steps.NAMES, held_lease.epoch, now)
            ended = await self._runner.run(cycle, held_lease, mode, self._interval)
        self._note(ended, is_pulled=True)
        return 0.0

    def _note(self, ended: Cycle, *, is_pulled: bool) -> None:
        self._cycle_seconds = self._clock.monotonic() - self._begun_at
        if not pulls.is_in_vain(ended):
            self._vain_count = 0
        elif is_pulled:
            self._vain_count += 1
        # Until the schedule is on time again: what was late because of it makes the next one late.
        self._held_up = schedule.is_held_up(
            self._interval, self._cycle_seconds, by_pull=is_pulled, before=self._held_up
        )

    async def _setting(self, epoch: int) -> tuple[Setting, datetime]:
        """The setting, its next slot moved along when the wall clock was set meanwhile."""
        now, steady = self._clock.now(), self._clock.monotonic()
        before, self._read_at = self._read_at, (now, steady)
        async with self._begin_lease() as store:
            if before is not None:
                step = schedule.clock_step(now - before[0], timedelta(seconds=steady - before[1]))
                if step and not await store.shift(epoch, step):
                    raise Fenced
            setting = await store.setting()
        self._interval = setting.interval
        return setting, now

    async def _log_missed(self, epoch: int, count: int, now: datetime) -> None:
        self._runner.counts.missed(count)
        message = (
            f"{count} slot{'s' if count > 1 else ''} missed: no owner, or a cycle longer "
            "than its interval"
        )
        await self._store.note(epoch, [Event(now, Severity.WARNING, "schedule", message)])

    async def _forget(self, epoch: int) -> None:
        if self._clock.monotonic() - self._forgot_at < _FORGET_EVERY_SECONDS:
            return
        if await self._store.forget(epoch, self._clock.now(), self._ages):
            self._forgot_at = self._clock.monotonic()

    async def _pause(self, held_lease: HeldLease, seconds: float) -> None:
        sleeping = asyncio.ensure_future(self._clock.sleep(seconds))
        waking = asyncio.ensure_future(held_lease.wake.wait())
        try:
            await asyncio.wait({sleeping, waking}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            waking.cancel()
