"""Keeps the lease: waits for it, renews it every quarter of its life, lets go at once when it is
another's.

Lives by real time, as the database's clock does, also while this machine is suspended; a pushed
clock does not reach it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from services.cyclone.loop.counts import CycleCounts
from services.cyclone.store.lease import LeaseStore, Renewal
from services.cyclone.store.listener import Listener
from services.cyclone.store.progress import Fenced
from shared.backoff import backoff_seconds
from shared.clock import Clock, SystemClock
from shared.errors import SonicError
from shared.lifecycle import Endless
from shared.log import get_logger

_REAL = SystemClock()
_RETRY_SECONDS = 0.5
# What nobody thought of is tried again ever later, so that its tracebacks do not fill the log.
_LATER_SECONDS, _LATEST_SECONDS = 1.0, 8.0
# A waiting replica looks just after the lease would run out, and at least this often.
_MARGIN_SECONDS = 0.05
_LONGEST_WAIT_SECONDS = 10.0
_SHORTEST_RENEWAL_SECONDS = 0.1


@dataclass(slots=True)
class HeldLease:
    """One holding of the lease, which nobody else can have before `until` (seconds of
    SystemClock.monotonic()).

    `wake`: there may be work. `cancelled`: cycles to stop. `epoch` changes under `changing`.
    """

    epoch: int
    until: float
    exceed: Exceed
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    cancel: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: set[str] = field(default_factory=set)

    def is_certain(self) -> bool:
        """False after a pause, until the lease was renewed: another may have it."""
        return _REAL.monotonic() < self.until

    def on_notice(self, word: str) -> None:
        kind, _, id = word.partition(" ")
        if kind == "cancel":
            self.cancelled.add(id)
            self.cancel.set()
        if kind in ("", "work", "schedule", "cancel"):
            self.wake.set()


Begin = Callable[[], AbstractAsyncContextManager[LeaseStore]]
# Takes an epoch above the one given, which somebody saw; False when the lease is another's.
Exceed = Callable[["HeldLease", int], Awaitable[bool]]
Work = Callable[[HeldLease], Awaitable[None]]


class LeaseKeeper:
    """A Part: `work` runs while the lease is ours and is cancelled the moment it is not."""

    def __init__(
        self,
        begin: Begin,
        listener: Listener,
        work: Work,
        clock: Clock,
        owner: str,
        interval: timedelta,
        counts: CycleCounts,
    ) -> None:
        self._counts = counts
        self._begin = begin
        self._listener = listener
        self._work = work
        self._clock = clock
        self._owner = owner
        self._interval = interval
        self._woken = asyncio.Event()
        self._ensured = False
        keeping = Endless("lease", self._run)
        self.name, self.failed = keeping.name, keeping.failed
        self.start, self.stop = keeping.start, keeping.stop

    async def _run(self) -> None:
        failure_count = 0
        with self._listener.subscribed(self._on_notice):
            while True:
                try:
                    wait_seconds = await self._try()
                    failure_count = 0
                except SonicError as error:
                    get_logger().warning("lease cannot be asked for", problem=error.message)
                    wait_seconds = _RETRY_SECONDS
                except Exception as error:  # noqa: BLE001  who asks no more never owns again
                    get_logger().error("lease cannot be asked for", exc_info=error)
                    failure_count += 1
                    wait_seconds = backoff_seconds(failure_count, _LATER_SECONDS, _LATEST_SECONDS)
                await self._pause(wait_seconds)

    def _on_notice(self, word: str) -> None:
        if word in ("", "lease", "schedule"):
            self._woken.set()

    async def _try(self) -> float:
        """One attempt, and all of the holding when it succeeds; the seconds until the next."""
        async with self._begin() as store:
            if not self._ensured:
                await store.ensure(self._interval, self._clock.now())
                self._ensured = True
            asked_at = _REAL.monotonic()
            grant = await store.take(self._owner)
        if grant.epoch is None:
            return min(max(grant.left_seconds, 0.0) + _MARGIN_SECONDS, _LONGEST_WAIT_SECONDS)
        get_logger().info("lease taken", epoch=grant.epoch)
        held_lease = HeldLease(grant.epoch, asked_at + grant.left_seconds, self._exceed)
        await self._hold(held_lease, grant.left_seconds)
        return _MARGIN_SECONDS

    async def _hold(self, held_lease: HeldLease, left_seconds: float) -> None:
        # Nobody else may work as long as it is renewed: work that ended must end this process.
        working = Endless("cycles", partial(self._keep_working, held_lease), self.failed)
        await working.start()
        lost = False
        self._counts.lease(held=True)
        try:
            with self._listener.subscribed(held_lease.on_notice):
                await self._renew_until_lost(held_lease, left_seconds)
            lost = True
            get_logger().warning("lease lost", epoch=held_lease.epoch)
        finally:
            self._counts.lease(held=False)
            await working.stop()
            if not lost:
                await self._release(held_lease.epoch)

    async def _renew_until_lost(self, held_lease: HeldLease, left_seconds: float) -> None:
        """Without an answer, the lease counts as ours until it must have run out."""
        while held_lease.is_certain():
            await self._pause(max(left_seconds / 4, _SHORTEST_RENEWAL_SECONDS))
            asked_at = _REAL.monotonic()
            try:
                async with asyncio.timeout(
                    max(held_lease.until - asked_at, _SHORTEST_RENEWAL_SECONDS)
                ):
                    renewal = await self._renewed(held_lease)
            except Exception as error:  # noqa: BLE001  it is ours all the same, until it runs out
                known = isinstance(error, (SonicError, TimeoutError))
                trace = None if known else error
                get_logger().warning("lease not renewed", problem=str(error), exc_info=trace)
                left_seconds = min(left_seconds, _RETRY_SECONDS)
                continue
            if renewal is None:
                return
            left_seconds = renewal.left_seconds
            held_lease.until = asked_at + left_seconds
            self._pass_on(held_lease, renewal)

    async def _renewed(self, held_lease: HeldLease) -> Renewal | None:
        async with held_lease.changing, self._begin() as store:
            return await store.renew(held_lease.epoch, self._owner)

    async def _exceed(self, held_lease: HeldLease, seen_epoch: int) -> bool:
        async with held_lease.changing, self._begin() as store:
            epoch = await store.exceed(held_lease.epoch, self._owner, seen_epoch)
            if epoch is None:
                return False
            held_lease.epoch = epoch
        get_logger().warning("new epoch", epoch=epoch, seen_epoch=seen_epoch)
        return True

    def _pass_on(self, held_lease: HeldLease, renewal: Renewal) -> None:
        """What a lost notice would have said."""
        if renewal.queued:
            held_lease.on_notice("work")
        if renewal.cancelled_id:
            held_lease.on_notice(f"cancel {renewal.cancelled_id}")

    async def _keep_working(self, held_lease: HeldLease) -> None:
        while True:
            try:
                await self._work(held_lease)
            except Fenced:
                # The next renewal, made at once, ends this task unless the lease is ours after all.
                get_logger().warning("write refused", epoch=held_lease.epoch)
                self._woken.set()
            except SonicError as error:
                get_logger().warning("work interrupted", problem=str(error))
            except Exception as error:  # noqa: BLE001  the loop outlives whatever a cycle meets; it is resumed
                get_logger().error("work failed", exc_info=error)
            await asyncio.sleep(_RETRY_SECONDS)

    async def _release(self, epoch: int) -> None:
        try:
            async with asyncio.timeout(1.0), self._begin() as store:
                await store.release(epoch)
        except Exception as error:  # noqa: BLE001  it runs out by itself; a cancel goes on being one
            get_logger().warning("lease not let go", problem=type(error).__name__)

    async def _pause(self, seconds: float) -> None:
        """Waits, or less when somebody let go of the lease or changed the interval."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        self._woken.clear()
