"""What people make of alerts: acknowledge, silence, end it; and the end that comes by itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import numpy as np

from services.alerts.alerts.domain.alert_columns import AlertColumns
from services.alerts.alerts.domain.change_inputs import payload_of
from services.alerts.alerts.domain.change_payload import ChangeContext, key_of, moment
from services.alerts.alerts.domain.evaluation import Outcome, expire, reapply_levels
from services.alerts.alerts.domain.incidents import hold, release
from services.alerts.alerts.domain.readings import NOTHING_HELD, Positions
from services.alerts.alerts.domain.views import Alert
from services.alerts.alerts.service.queries import AlertQueries
from services.alerts.domain.kinds import LONGEST_QUIET_SECONDS, AlertStatus, Level
from services.alerts.ledger.domain import Entry
from services.alerts.notifications.domain import Acknowledgement
from services.alerts.notifications.service.entries import entries_of
from services.alerts.service.commits import Commits, Decision, Edit, Entries, Notice
from services.alerts.service.ports import AcknowledgementSource, PositionsPeer
from services.alerts.service.snapshot_cache import Snapshot, SnapshotCache
from services.alerts.store.service_state import new_version
from shared.clock import micros_of
from shared.errors import FailedPrecondition, Unavailable, invalid

DEFAULT_HOLD = timedelta(hours=1)
_LOOK_SECONDS = 5.0
_SHORTEST_SECONDS = 0.05
# The same said twice is one hold.
_SAME_MICROS = 60_000_000


class Silences:
    """Holds on alerts: bound to a level, always expiring."""

    def __init__(
        self,
        cache: SnapshotCache,
        commits: Commits,
        positions: PositionsPeer,
        queries: AlertQueries,
    ) -> None:
        self._cache = cache
        self._commits = commits
        self._positions = positions
        self._queries = queries
        self.held: Callable[[], None] = _nobody

    async def acknowledge(self, id: str, duration: timedelta | None, actor: str) -> Alert:
        """Somebody knows of the present level. ALERT_NOT_FOUND, NOT_RAISED, INVALID_FIELD."""
        return await self._hold(id, AlertStatus.ACKNOWLEDGED, duration, None, actor)

    async def silence(
        self, id: str, duration: timedelta | None, level: Level | None, actor: str
    ) -> Alert:
        """Nobody is notified up to a level. ALERT_NOT_FOUND, INVALID_FIELD."""
        return await self._hold(id, AlertStatus.SILENCED, duration, level, actor)

    async def unsilence(self, id: str, actor: str) -> Alert:
        """End a hold; a level that was never notified is notified now. ALERT_NOT_FOUND."""
        positions = await self._figures()
        async with self._commits.edit() as edit:
            snapshot = edit.snapshot
            row = snapshot.row(id)
            held = bool(snapshot.columns.held_status[row])
            outcome = reapply_levels(
                release(snapshot.columns, row),
                snapshot.tables,
                positions,
                np.array([row]),
                self._cache.clock_guard.micros(),
            )
            by = actor or "person"
            after = await self._write(edit, outcome, positions, "UNSILENCED", by, noted=held)
            (alert,) = await self._queries.shown(edit.store, after, [row])
        return alert

    async def expire(self) -> float:
        """End what has run out, notify what it kept quiet; seconds until the next look."""
        async with self._cache.begin_statement() as store:
            first = await store.alerts.next_expiry_micros()
        left = (
            _LOOK_SECONDS
            if first is None
            else (first - self._cache.clock_guard.micros()) / 1_000_000
        )
        if left > 0:
            return min(max(left, _SHORTEST_SECONDS), _LOOK_SECONDS)
        positions = await self._figures()
        async with self._commits.edit() as edit:
            outcome = expire(
                edit.snapshot.columns,
                edit.snapshot.tables,
                positions,
                self._cache.clock_guard.micros(),
            )
            if len(outcome.changed):
                await self._write(edit, outcome, positions, "", "clock")
        return _SHORTEST_SECONDS

    async def read_acknowledgements(self, source: AcknowledgementSource) -> bool:
        """What people said to the notification service, held as if said here; whether more may
        wait.

        XCOM_UNAVAILABLE. Each word counts for the incident and up to the level it was said of, and
        no longer than said here at that moment.
        """
        async with self._cache.begin_statement() as store:
            seen = (await store.service_state.read()).acknowledged_sequence
        acknowledgements, last = await source.acknowledgements(seen)
        if not acknowledgements and last >= seen:
            return False
        for one in acknowledgements:
            await self._apply(one)
        if last < seen:
            # Another database than before: it is read from its beginning.
            async with self._cache.begin_statement() as store:
                await store.service_state.put_acknowledged_sequence(0)
        return True

    async def _apply(self, said: Acknowledgement) -> None:
        """Together with how far was read: after a crash it is neither lost nor twice."""
        until = said.snoozed_until_time or said.said_time + DEFAULT_HOLD
        status = (
            AlertStatus.ACKNOWLEDGED if said.snoozed_until_time is None else AlertStatus.SILENCED
        )
        async with self._commits.edit() as edit:
            columns = edit.snapshot.columns
            if said.sequence <= edit.snapshot.service_state.acknowledged_sequence:
                return
            left = min((until - self._cache.clock.now()).total_seconds(), LONGEST_QUIET_SECONDS)
            until_micros = self._cache.clock_guard.micros() + round(left * 1_000_000)
            row = _raised_in(columns, said.incident_key)
            if row is not None and left > 0 and _says_more(columns, row, said.level, until_micros):
                held = hold(columns, row, status, said.level, until_micros)
                by = said.actor or "person"
                await self._write_hold(edit, held, row, status, by, noted=False)
            await edit.store.service_state.put_acknowledged_sequence(said.sequence)
        self.held()

    async def _hold(
        self,
        id: str,
        status: AlertStatus,
        duration: timedelta | None,
        level: Level | None,
        actor: str,
    ) -> Alert:
        seconds = _seconds(duration)
        async with self._commits.edit() as edit:
            columns, row = edit.snapshot.columns, edit.snapshot.row(id)
            held_level = _held_level(Level(columns.level[row]), status, level)
            until_micros = self._cache.clock_guard.micros() + round(seconds * 1_000_000)
            held = hold(columns, row, status, held_level, until_micros)
            after = await self._write_hold(edit, held, row, status, actor or "person", noted=True)
            (alert,) = await self._queries.shown(edit.store, after, [row])
        self.held()
        return alert

    async def _write_hold(
        self,
        edit: Edit,
        held: AlertColumns,
        row: int,
        status: AlertStatus,
        actor: str,
        *,
        noted: bool,
    ) -> Snapshot:
        outcome = reapply_levels(
            held,
            edit.snapshot.tables,
            NOTHING_HELD,
            np.array([row]),
            self._cache.clock_guard.micros(),
            notifying=False,
        )
        return await self._write(edit, outcome, NOTHING_HELD, status.name, actor, noted=noted)

    async def _write(
        self,
        edit: Edit,
        outcome: Outcome,
        positions: Positions,
        reason: str,
        actor: str,
        *,
        noted: bool = True,
    ) -> Snapshot:
        """Rows that somebody or the clock touched, with their record; everything as it is then."""
        now, state = self._cache.clock.now(), edit.snapshot.service_state
        subjects = await edit.store.subjects.read(outcome.columns.subject_key[outcome.changed])
        context = ChangeContext("", state.demo, micros_of(now))
        made = list(entries_of(outcome, subjects, positions, context, actor, now))
        is_noted = outcome.ended_quietly
        if reason:
            made = [_by_hand(entry, outcome, reason) for entry in made]
            # The notification service is to know of it; at NORMAL there is no incident.
            levels = outcome.columns.level[outcome.changed]
            is_noted = (levels > Level.NORMAL) & noted
        notices = [
            Notice(int(place), noted=not outcome.notified[place])
            for place in np.flatnonzero(outcome.notified | is_noted)
        ]
        return await edit.write(
            Decision(
                None,
                replace(state, alert_version=new_version()),
                outcome.columns,
                levels=outcome.changed,
                settings=outcome.changed,
                entries=Entries.of(made, notices),
            )
        )

    async def _figures(self) -> Positions:
        """What a message should show; without it people are notified all the same."""
        try:
            return await self._positions.figures()
        except Unavailable:
            return NOTHING_HELD


def _raised_in(columns: AlertColumns, incident_key: str) -> int | None:
    """The row of the alert whose present incident this is, while it is raised."""
    id, _, count = incident_key.rpartition(".")
    key = key_of(id)
    row = int(columns.rows_of(np.array([-1 if key is None else key]))[0])
    if row < 0 or count != str(columns.incident_count[row]) or columns.level[row] == Level.NORMAL:
        return None
    return row


def _says_more(columns: AlertColumns, row: int, level: int, until_micros: int) -> bool:
    """Not of a level that was passed since, and not what is held as high and as long already."""
    longer = until_micros - int(columns.held_until_micros[row]) > _SAME_MICROS
    held = columns.held_status[row] > 0 and columns.held_level[row] >= level
    return bool(columns.level[row] <= level and not (held and not longer))


def _seconds(duration: timedelta | None) -> float:
    seconds = (DEFAULT_HOLD if duration is None else duration).total_seconds()
    if not 0 < seconds <= LONGEST_QUIET_SECONDS:
        problem = "more than 0, at most 7 days"
        raise invalid("duration", problem)
    return seconds


def _held_level(present: Level, status: AlertStatus, wanted: Level | None) -> Level:
    if status is AlertStatus.ACKNOWLEDGED and present is Level.NORMAL:
        raise FailedPrecondition(
            "NOT_RAISED", "the alert is at NORMAL: there is nothing to acknowledge"
        )
    if wanted is not None and wanted < max(present, Level.LOW):
        problem = f"not below the present level {max(present, Level.LOW).name}"
        raise invalid("level", problem)
    return max(present, Level.LOW) if wanted is None else wanted


def _by_hand(entry: Entry, outcome: Outcome, reason: str) -> Entry:
    """With the hold as it is now."""
    row = outcome.changed[0]
    level, until = (
        int(outcome.columns.held_level[row]),
        int(outcome.columns.held_until_micros[row]),
    )
    held = {"held_level": Level(level).name, "held_until_time": moment(until)} if level else {}
    text = json.dumps({**payload_of(entry), **held})
    return entry._replace(reason=reason, inputs_json=text, inputs=b"")


def _nobody() -> None:
    """Nobody waits for the first hold to end."""
