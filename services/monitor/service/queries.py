"""What people see and change: states, settings, badges, the ledger of runs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from services.monitor.domain.badges import KeptBadge, dismissed_parts
from services.monitor.domain.findings import Level, Run
from services.monitor.domain.settings import SNOOZE_LIMIT, Chosen
from services.monitor.domain.states import State, Status, status
from services.monitor.service.check_runs import Begin
from services.monitor.service.configured_checks import ConfiguredChecks
from services.monitor.store.runs import RunFilter
from shared import paging
from shared.clock import Clock
from shared.errors import Conflict, NotFound, Unavailable, invalid, require_confirmation
from shared.names import choose
from shared.paging import Page

_SNOOZE = timedelta(hours=1)
_INTERVAL_LEAST_SECONDS = 5.0
_INTERVAL_MOST_SECONDS = 7 * 86_400.0


class Channels(Protocol):
    """Who knows the channels."""

    async def channel_names(self) -> list[str]:
        """Every channel there is. Raises SonicError."""


@dataclass(frozen=True, slots=True)
class View:
    """The monitors and badges at one moment; equal when nothing changed."""

    states: tuple[State, ...]
    badges: tuple[KeptBadge, ...]


@dataclass(frozen=True, slots=True)
class News:
    """What one watcher gets: the monitors that changed, every badge that is set."""

    states: tuple[State, ...]
    badges: tuple[KeptBadge, ...]
    gap: bool = False


class MonitorQueries:
    """Reading and changing."""

    def __init__(
        self,
        begin: Begin,
        read: Begin,
        configured: ConfiguredChecks,
        channels: Channels,
        clock: Clock,
    ) -> None:
        self._begin = begin
        self._read = read
        self._configured = configured
        self._channels = channels
        self._clock = clock
        self._changed: Callable[[], None] = lambda: None

    def on_change(self, changed: Callable[[], None]) -> None:
        """Have `changed` called after each write."""
        self._changed = changed

    def known(self, names: Collection[str]) -> set[str]:
        """The monitors of these names, all of them for none; NotFound MONITOR_NOT_FOUND."""
        return {self._configured.named(name).name for name in names} or set(self._configured.names)

    async def view(self) -> View:
        """Every monitor and every badge."""
        now = self._clock.now()
        async with self._read() as store:
            stored, _ = await store.stored(self._configured.names)
            badges = self._known(await store.badges())
        return View(tuple(self._configured.states(stored, now)), tuple(badges))

    async def state(self, name: str) -> State:
        """One monitor; NotFound MONITOR_NOT_FOUND."""
        one = self._configured.named(name)
        async with self._read() as store:
            stored, _ = await store.stored([one.name])
        return self._configured.state(one.name, stored[one.name], self._clock.now())

    async def status(self) -> Status:
        """How the monitors stand."""
        now = self._clock.now()
        async with self._read() as store:
            stored, beat = await store.stored(self._configured.names)
            badges = self._known(await store.badges())
            waiting_count, _ = await store.waiting()
        states = self._configured.states(stored, now)
        return status(states, badges, waiting_count, beat.call_time)

    async def update(self, name: str, changes: Chosen, fields: Sequence[str], etag: str) -> State:
        """Take these fields of `changes`; NotFound, Conflict ETAG_MISMATCH, InvalidArgument."""
        one = self._configured.named(name)
        if "threshold_percent" in fields and not one.defaults.takes_threshold:
            problem = f"{one.name} has no threshold in percent"
            raise invalid("threshold_percent", problem, problem)
        if "interval_seconds" in fields and changes.interval_seconds is not None:
            least, most = _INTERVAL_LEAST_SECONDS, _INTERVAL_MOST_SECONDS
            if not least <= changes.interval_seconds <= most:
                problem = f"between {least:g} and {most:g} seconds"
                raise invalid("interval", problem, f"interval is {problem}")
        if "snooze_seconds" in fields and changes.snooze_seconds is not None:
            _check_snooze(timedelta(seconds=changes.snooze_seconds), "snooze")
        if "channels" in fields and changes.channels:
            changes = replace(changes, channels=await self._known_channels(changes.channels))
        async with self._begin() as store:
            chosen = await store.chosen(one.name)
            if etag and etag != str(chosen.version):
                problem = f"the settings of {one.name} were changed; read them again"
                raise Conflict("ETAG_MISMATCH", problem)
            taken = {field: getattr(changes, field) for field in fields}
            await store.choose(one.name, replace(chosen, **taken, version=chosen.version + 1))
        self._changed()
        return await self.state(one.name)

    async def snooze(self, name: str, duration: timedelta | None) -> State:
        """Rest from now on; 0 wakes, None is its own snooze setting or an hour."""
        one = self._configured.named(name)
        if duration is not None:
            _check_snooze(duration, "duration")
        now = self._clock.now()
        async with self._begin() as store:
            chosen = await store.chosen(one.name)
            if duration is None:
                duration = self._configured.setting(one.name, chosen).snooze or _SNOOZE
            until = now + duration if duration else None
            rested = replace(
                chosen, snoozed_until_time=until, snoozed_time=now, version=chosen.version + 1
            )
            await store.choose(one.name, rested)
        self._changed()
        return await self.state(one.name)

    async def badges(self, *, include_dismissed: bool) -> list[KeptBadge]:
        """Badges that are set, by name."""
        async with self._read() as store:
            badges = self._known(await store.badges())
        return [kept for kept in badges if include_dismissed or not kept.dismissed]

    async def dismiss(self, name: str, subject: str = "", level: Level | None = None) -> KeptBadge:
        """Hide what a badge shows, or one subject of it, as bad as it is and not above the `level`
        seen.

        NotFound BADGE_NOT_FOUND.
        """
        async with self._begin() as store:
            kept = next((one for one in await store.badges() if one.badge.name == name), None)
            hidden = dismissed_parts(kept, subject, level) if kept else []
            if kept is None or not hidden:
                about = f" about {subject[:80]!r}" if subject else ""
                raise NotFound("BADGE_NOT_FOUND", f"no badge {name[:80]!r}{about} is set")
            await store.dismiss(name, hidden, self._clock.now())
        self._changed()
        dismissals = {**kept.dismissals, **{one.subject: one for one in hidden}}
        return replace(kept, dismissals=dismissals)

    def _known(self, badges: Iterable[KeptBadge]) -> list[KeptBadge]:
        """Without those of monitors that are no longer installed."""
        return [kept for kept in badges if kept.monitor in self._configured.names]

    async def list_runs(self, page_size: int, page_token: str, wanted: RunFilter) -> Page[Run]:
        """The ledger of runs, newest first. NotFound MONITOR_NOT_FOUND when neither a run nor a
        monitor has that name; those of a monitor that is no longer installed stay readable.
        """
        if wanted.start_time and wanted.end_time and wanted.end_time <= wanted.start_time:
            raise invalid("end_time", "after start_time", "end_time is not after start_time")
        context = paging.context("runs", wanted)
        page = paging.parse(page_size, page_token, context=context)
        async with self._read() as store:
            rows = await store.list_runs(page, wanted)
            if wanted.monitor and not rows and not await store.has_runs(wanted.monitor):
                self._configured.named(wanted.monitor)
        return paging.cut(rows, page, context, lambda run: (run.id,))

    async def clear(self, confirm: str) -> int:
        """Delete runs and badges; InvalidArgument NOT_CONFIRMED."""
        require_confirmation(confirm, "clear")
        async with self._begin() as store:
            count = await store.clear()
        self._changed()
        return count

    async def forget(self, before: datetime, quiet_before: datetime) -> int:
        """Delete some of the runs older than this, and of those older than `quiet_before` that
        found nothing; 0 when none is left.
        """
        async with self._begin() as store:
            count = await store.forget_runs(before)
            return count + await store.forget_quiet_runs(quiet_before)

    async def _known_channels(self, names: Sequence[str]) -> tuple[str, ...]:
        """As xcom writes them; as they are while it does not answer: notifications fall back."""
        try:
            known = await self._channels.channel_names()
        except Unavailable:
            return tuple(dict.fromkeys(names))
        return tuple(dict.fromkeys(choose(name, known, field="channels") for name in names))


def _check_snooze(duration: timedelta, field: str) -> None:
    if not timedelta() <= duration <= SNOOZE_LIMIT:
        problem = f"between 0 and {SNOOZE_LIMIT.days} days"
        raise invalid(field, problem, f"{field} is {problem}")
