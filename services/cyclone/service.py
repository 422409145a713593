"""What callers may ask of cyclone: cycles, schedule, log, clearing. The owner runs cycles."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Protocol

from services.cyclone.domain import cycle as cycles
from services.cyclone.domain import schedule, steps
from services.cyclone.domain.cycle import (
    ENDED,
    Cycle,
    CycleEvent,
    CycleState,
    Event,
    EventFilter,
    Severity,
)
from services.cyclone.domain.schedule import Lease, Setting
from services.cyclone.domain.streams import Stream
from services.cyclone.store.lease import LeaseStore
from services.cyclone.store.requests import RequestStore
from shared import paging
from shared.clock import Clock
from shared.errors import Conflict, NotFound, SonicError, Unavailable, require_confirmation
from shared.names import choose, new_id
from shared.paging import Page, PageRequest

_OWN_KIND = "cycles"
# A reader polls this often, in case a notice got lost.
_POLL_SECONDS = 1.0
# Steps may follow each other faster than people see: one read for several of them.
_GATHER_SECONDS = 0.1
_TRIES = 3

Begin = Callable[[], AbstractAsyncContextManager[RequestStore]]
BeginLease = Callable[[], AbstractAsyncContextManager[LeaseStore]]


class Clearer(Protocol):
    """The rows of the other services."""

    kinds: tuple[str, ...]

    async def clear(self, kind: str) -> int: ...


class Recipients(Protocol):
    """Who may hear of results."""

    async def checked(self, deliver_to: Sequence[str]) -> tuple[str, ...]:
        """Each as it is written: `channel` or `channel:address`."""
        ...


class Notices(Protocol):
    """Where notices about progress come in; an empty one when some may have been missed."""

    def subscribed(self, on_notice: Callable[[str], None]) -> AbstractContextManager[None]: ...


class CycloneService:
    """Readings and requests; every write of a running cycle is the owner's."""

    def __init__(
        self,
        begin: Begin,
        read: Begin,
        begin_lease: BeginLease,
        notices: Notices,
        clearer: Clearer,
        recipients: Recipients,
        clock: Clock,
        *,
        interval: timedelta,
        scheduled: bool,
    ) -> None:
        self._begin = begin
        self._read = read
        self._begin_lease = begin_lease
        self._notices = notices
        self._clearer = clearer
        self._recipients = recipients
        self._clock = clock
        self._interval = interval
        self._scheduled = scheduled

    async def start(
        self, asked: Iterable[str], request_id: str, deliver_to: Sequence[str] = ()
    ) -> Cycle:
        """Stores a request; the same `request_id` again gives its cycle. Raises UNKNOWN_NAME, and
        with `deliver_to` ADDRESS_NOT_ALLOWED, CHANNEL_NOT_CONFIGURED, PEER_UNAVAILABLE.
        """
        names = steps.ordered(choose(text, steps.NAMES, field="steps") for text in asked)
        recipients = await self._recipients.checked(deliver_to) if deliver_to else ()
        now = self._clock.now()
        async with self._read() as store:
            id = await store.ask(new_id("cycle"), request_id, names, now, recipients)
        return await self.get(id)

    async def get(self, id: str) -> Cycle:
        async with self._read() as store:
            cycle = await store.get(id)
        if cycle is None:
            raise NotFound("CYCLE_NOT_FOUND", f"no cycle {id[:80]!r}")
        return cycle

    async def follow(self, cycle: Cycle) -> AsyncIterator[tuple[Cycle, str]]:
        """The present state, then every change as (cycle, step name); ends with the cycle."""
        changed, ended = asyncio.Event(), asyncio.Event()

        def on_notice(word: str) -> None:
            if word == f"ended {cycle.id}":
                ended.set()
            if word in ("", f"progress {cycle.id}", f"ended {cycle.id}"):
                changed.set()

        with self._notices.subscribed(on_notice):
            seen: Cycle | None = None
            present = cycle
            # What changed since it was read was told before anybody listened: look again soon.
            changed.set()
            while True:
                for message in cycles.progress(seen, present):
                    yield message
                if present.state in ENDED:
                    return
                seen = present
                with suppress(TimeoutError):
                    async with asyncio.timeout(_POLL_SECONDS):
                        await changed.wait()
                with suppress(TimeoutError):
                    async with asyncio.timeout(_GATHER_SECONDS):
                        await ended.wait()
                changed.clear()
                present = await self.get(cycle.id)

    async def list(self, page_size: int, page_token: str, state: CycleState | None) -> Page[Cycle]:
        context = paging.context("cycles", state)
        request = paging.parse(page_size, page_token, context=context)
        async with self._begin() as store:
            rows = await store.list(request, state, self._clock.now())
        return paging.cut(rows, request, context, lambda cycle: (cycle.created_time, cycle.id))

    async def cancel(self, id: str) -> Cycle:
        """Raises CYCLE_NOT_FOUND, CYCLE_ENDED."""
        for _ in range(_TRIES):
            cycle = await self.get(id)
            after = cycles.transition(cycle.state, CycleEvent.ASK_CANCEL)
            async with self._begin() as store:
                if after is CycleState.CANCELLED:
                    asked = await store.cancel_queued(
                        id, "Cancelled before it started.", self._clock.now()
                    )
                else:
                    asked = await store.cancel_running(id)
            if asked:
                break
        return await self.get(id)

    async def schedule(self) -> tuple[Setting, Lease]:
        async with self._begin_lease() as store:
            await store.ensure(self._interval, self._clock.now())
            setting, lease = await store.setting(), await store.holder()
        return replace(setting, enabled=setting.enabled and self._scheduled), lease

    async def update_schedule(
        self, interval: timedelta | None, enabled: bool | None, etag: str
    ) -> tuple[Setting, Lease]:
        """None leaves a field as it is. Raises ETAG_MISMATCH, INVALID_FIELD."""
        wanted = None if interval is None else schedule.checked_interval(interval)
        for _ in range(_TRIES):
            async with self._begin_lease() as store:
                await store.ensure(self._interval, self._clock.now())
                setting = await store.setting()
                if etag and etag != str(setting.version):
                    raise _changed()
                edited = replace(
                    setting,
                    interval=setting.interval if wanted is None else wanted,
                    enabled=setting.enabled if enabled is None else enabled,
                )
                if edited == setting or await store.edit(edited, self._clock.now()):
                    break
        else:
            raise _changed()
        return await self.schedule()

    async def events(self, page_size: int, page_token: str, wanted: EventFilter) -> Page[Event]:
        """Newest first. Raises CYCLE_NOT_FOUND, UNKNOWN_NAME."""
        known = [each.value for each in Severity]
        severity = choose(wanted.severity, known, field="severity") if wanted.severity else ""
        wanted = replace(wanted, severity=severity)
        context = paging.context("events", wanted)
        request = paging.parse(page_size, page_token, context=context)
        async with self._begin() as store:
            rows = await store.events(request, wanted)
            of_cycle = EventFilter(wanted.cycle_id)
            is_known = (
                rows or not wanted.cycle_id or await store.events(PageRequest(1, None), of_cycle)
            )
        if not is_known:
            await self.get(wanted.cycle_id)
        return paging.cut(rows, request, context, lambda event: (event.id,))

    async def streams(self) -> Sequence[Stream]:
        """How the streams stand that pull cycles forward; empty when nobody follows any."""
        async with self._read() as store:
            return await store.streams()

    async def clear(self, confirm: str, asked: Iterable[str]) -> dict[str, int]:
        """Rows deleted by kind; raises CLEAR_INCOMPLETE naming those that failed."""
        require_confirmation(confirm, "clear")
        known = (*self._clearer.kinds, _OWN_KIND)
        wanted = {choose(text, known, field="kinds") for text in asked} or set(known)
        deleted: dict[str, int] = {}
        failed: dict[str, str] = {}
        for kind in (kind for kind in known if kind in wanted):
            try:
                deleted[kind] = (
                    await self._clear_own()
                    if kind == _OWN_KIND
                    else await self._clearer.clear(kind)
                )
            except SonicError as error:
                failed[kind] = error.message
        await self._log_clearing(deleted, failed)
        if failed:
            listed = "; ".join(f"{kind}: {problem}" for kind, problem in failed.items())
            raise Unavailable(
                "CLEAR_INCOMPLETE", f"not everything was cleared. {listed}", metadata=failed
            )
        return deleted

    async def _clear_own(self) -> int:
        async with self._begin() as store:
            return await store.clear()

    async def _log_clearing(self, deleted: dict[str, int], failed: dict[str, str]) -> None:
        words = [f"{kind} {count}" for kind, count in deleted.items()] + [
            f"{kind} failed" for kind in failed
        ]
        severity = Severity.WARNING if failed else Severity.INFO
        async with self._begin() as store:
            await store.log(
                [Event(self._clock.now(), severity, "clear", f"cleared: {', '.join(words)}")]
            )


def _changed() -> Conflict:
    return Conflict("ETAG_MISMATCH", "the schedule was changed meanwhile; read it again")
