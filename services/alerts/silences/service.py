"""What people make of alerts: acknowledge, silence, end it; and the end that comes by itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

import numpy as np
from numpy.typing import NDArray

from services.alerts.alerts.domain.alert_columns import AlertColumns
from services.alerts.alerts.domain.change_inputs import payload_of
from services.alerts.alerts.domain.change_payload import ChangeContext, alert_id, key_of, moment
from services.alerts.alerts.domain.digests import (
    HELD_DIGEST,
    Gathered,
    digest_id,
    digest_sequence,
)
from services.alerts.alerts.domain.evaluation import Outcome, expire, reapply_levels
from services.alerts.alerts.domain.incidents import hold, levels_of_each, release
from services.alerts.alerts.domain.readings import NOTHING_HELD, Positions
from services.alerts.alerts.domain.views import Alert
from services.alerts.alerts.service.queries import AlertQueries
from services.alerts.domain.kinds import LONGEST_QUIET_SECONDS, AlertStatus, Level
from services.alerts.ledger.domain.chain import Entry
from services.alerts.notifications.domain import Acknowledgement
from services.alerts.notifications.service.entries import entries_of
from services.alerts.notifications.service.gathering import Gathering, digest_entries
from services.alerts.service.commits import Commits, Decision, Edit, Entries
from services.alerts.service.ports import AcknowledgementSource, PositionsPeer
from services.alerts.service.snapshot_cache import Snapshot, SnapshotCache
from services.alerts.store.service_state import new_version
from services.alerts.store.unit_of_work import Store
from shared.clock import ClockGuard, micros_of
from shared.errors import FailedPrecondition, NotFound, Unavailable, invalid
from shared.rpc import call

Integers = NDArray[np.int64]
Truths = NDArray[np.bool_]

DEFAULT_HOLD = timedelta(hours=1)
_LOOK_SECONDS = 5.0
_SHORTEST_SECONDS = 0.05
# Of what is held at once so many rows of the ledger say until when; the others are of that moment.
_DESCRIBED_COUNT = 100
# The same said twice is one hold.
_SAME_MICROS = 60_000_000


@dataclass(frozen=True, slots=True)
class _Said:
    """Why rows are touched, by whom, and whether the notification service is to know, which it does
    not when it comes from there; `digest`: all that it told of is held then, or was before.
    """

    reason: str
    actor: str
    is_noted: bool = False
    digest: str = ""


class Silences:
    """Holds on alerts: bound to a level, always expiring."""

    def __init__(
        self,
        cache: SnapshotCache,
        commits: Commits,
        positions: PositionsPeer,
        queries: AlertQueries,
        gathering: Gathering,
    ) -> None:
        self._cache = cache
        self._commits = commits
        self._positions = positions
        self._queries = queries
        self._gathering = gathering
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
            rows = _rows(snapshot, id)
            held = bool(snapshot.columns.held_status[rows].any())
            outcome = reapply_levels(
                release(snapshot.columns, rows),
                snapshot.tables,
                positions,
                rows,
                self._cache.clock_guard.micros(),
            )
            digest = _wholly_held(snapshot.columns, rows)
            said = _Said("UNSILENCED", call.person(actor), is_noted=held, digest=digest)
            after = await self._write(edit, outcome, positions, said)
            (alert,) = await self._queries.shown(edit.store, after, [_worst(after.columns, rows)])
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
                await self._write(edit, outcome, positions, _Said("", "clock"))
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
            rows = _raised_in(columns, said.incident_key)
            is_of_many = digest_sequence(said.incident_key) is not None
            rows = rows[columns.level[rows] <= said.level]
            levels = np.full(len(rows), said.level, np.int8)
            if is_of_many:
                levels = levels_of_each(columns, rows, said.level)
            says_more = _says_more(columns, rows, levels, until_micros)
            rows, levels = rows[says_more], levels[says_more]
            if len(rows) and left > 0:
                held = hold(columns, rows, status, levels, until_micros)
                heard = _Said(status.name, call.person(said.actor))
                await self._write_hold(edit, held, rows, heard)
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
            columns, rows = edit.snapshot.columns, _rows(edit.snapshot, id)
            row = _worst(columns, rows)
            held_level = _held_level(Level(columns.level[row]), status, level)
            until_micros = self._cache.clock_guard.micros() + round(seconds * 1_000_000)
            levels = np.full(len(rows), held_level, np.int8)
            if level is None and digest_sequence(id) is not None:
                levels = levels_of_each(columns, rows, held_level)
            held = hold(columns, rows, status, levels, until_micros)
            said = _Said(
                status.name, call.person(actor), is_noted=True, digest=_wholly_held(held, rows)
            )
            after = await self._write_hold(edit, held, rows, said)
            (alert,) = await self._queries.shown(edit.store, after, [row])
        self.held()
        return alert

    async def _write_hold(
        self, edit: Edit, held: AlertColumns, rows: Integers, said: _Said
    ) -> Snapshot:
        outcome = reapply_levels(
            held,
            edit.snapshot.tables,
            NOTHING_HELD,
            rows,
            self._cache.clock_guard.micros(),
            notifying=False,
        )
        return await self._write(edit, outcome, NOTHING_HELD, said)

    async def _write(
        self, edit: Edit, outcome: Outcome, positions: Positions, said: _Said
    ) -> Snapshot:
        """Rows that somebody or the clock touched, with their record; everything as it is then."""
        now, state = self._cache.clock.now(), edit.snapshot.service_state
        subjects = await edit.store.subjects.read(outcome.columns.subject_key[outcome.changed])
        context = ChangeContext("", state.demo, micros_of(now))
        outcome, gathered = await self._gathering.gather(
            edit.store, edit.snapshot, outcome, positions
        )
        if said.reason:
            noted = {0} if said.is_noted else set()
            noted |= await _known_alone(edit.store, outcome)
            gathered = _noted(outcome, gathered, noted)
        made = partial(
            entries_of,
            subjects=subjects,
            positions=positions,
            context=context,
            actor=said.actor,
            now=now,
        )
        facts = _facts(outcome, said, self._cache.clock_guard) if said.reason else {}
        entries = partial(_entries, outcome, made, gathered, said, facts)
        return await edit.write(
            Decision(
                None,
                replace(state, alert_version=new_version()),
                outcome.columns,
                levels=outcome.changed,
                settings=outcome.changed,
                entries=Entries.gathered(len(outcome.changed), entries, gathered),
            )
        )

    async def _figures(self) -> Positions:
        """What a message should show; without it people are notified all the same."""
        try:
            return await self._positions.figures()
        except Unavailable:
            return NOTHING_HELD


def _rows(snapshot: Snapshot, id: str) -> Integers:
    """Of an alert, or of all that a digest told of and that stands; ALERT_NOT_FOUND."""
    sequence = digest_sequence(id)
    if sequence is None:
        return np.array([snapshot.row(id)])
    rows = np.flatnonzero(snapshot.columns.digest_sequence == sequence)
    if not len(rows):
        raise NotFound("ALERT_NOT_FOUND", f"no alert of {id[:80]!r} is raised")
    return rows


def _worst(columns: AlertColumns, rows: Integers) -> int:
    return int(rows[np.argmax(columns.level[rows])])


def _wholly_held(columns: AlertColumns, rows: Integers) -> str:
    """The digest that told of these, when everything of it is held; else empty."""
    sequence = int(columns.digest_sequence[rows[0]])
    held = columns.held_status[columns.digest_sequence == sequence] > 0
    return digest_id(sequence) if sequence and held.all() else ""


def _raised_in(columns: AlertColumns, incident_key: str) -> Integers:
    """Rows of the alerts whose present incident this is, or that this digest told of, while they
    are raised.
    """
    sequence = digest_sequence(incident_key)
    if sequence is not None:
        return np.flatnonzero(
            (columns.digest_sequence == sequence) & (columns.level > Level.NORMAL)
        )
    id, _, count = incident_key.rpartition(".")
    key = key_of(id)
    rows = columns.rows_of(np.array([-1 if key is None else key]))
    rows = rows[rows >= 0]
    is_present = columns.incident_count[rows].astype(str) == count
    present: Integers = rows[is_present & (columns.level[rows] > Level.NORMAL)]
    return present


def _says_more(
    columns: AlertColumns, rows: Integers, levels: NDArray[np.int8], until_micros: int
) -> Truths:
    """Not what is held as high and as long already."""
    longer = until_micros - columns.held_until_micros[rows] > _SAME_MICROS
    held = (columns.held_status[rows] > 0) & (columns.held_level[rows] >= levels)
    more: Truths = ~(held & ~longer)
    return more


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


async def _known_alone(store: Store, outcome: Outcome) -> set[int]:
    """Of many, the places of those that were told or held by themselves too: of each of them the
    notification service has an incident beside the digest.
    """
    if len(outcome.changed) == 1:
        return set()
    ids = [alert_id(key) for key in outcome.columns.alert_key[outcome.changed].tolist()]
    alone = await store.outbox.known_alone(ids)
    return {place for place, id in enumerate(ids) if id in alone}


def _noted(outcome: Outcome, gathered: Gathered, places: set[int]) -> Gathered:
    """With these for the notification service where people do not hear of them by themselves; at
    NORMAL there is no incident.
    """
    level = outcome.columns.level[outcome.changed].astype(np.int64)
    place = np.array(sorted(places - set(gathered.place.tolist())), np.int64)
    place = place[level[place] > Level.NORMAL]
    return replace(
        gathered,
        place=np.concatenate([place, gathered.place]),
        level=np.concatenate([level[place], gathered.level]),
        noted=np.concatenate([np.ones(len(place), bool), gathered.noted]),
    )


def _entries(
    outcome: Outcome,
    made: Callable[[Outcome], Iterable[Entry]],
    gathered: Gathered,
    said: _Said,
    facts: Mapping[str, str],
) -> Iterator[Entry]:
    noted = set(gathered.place.tolist())
    held_levels = outcome.columns.held_level[outcome.changed]
    for place, entry in enumerate(made(outcome)):
        if facts and (place < _DESCRIBED_COUNT or place in noted):
            own = dict(facts)
            if "held_level" in facts and place not in noted:
                # What is noted may be of the digest, which is as high as the highest of it.
                own["held_level"] = Level(int(held_levels[place])).name
            text = json.dumps({**payload_of(entry), **own})
            yield entry._replace(reason=said.reason, inputs_json=text, inputs=b"")
        else:
            yield entry._replace(reason=said.reason or entry.reason)
    yield from digest_entries(gathered.digests, outcome, made)


def _facts(outcome: Outcome, said: _Said, guard: ClockGuard) -> dict[str, str]:
    """What a hold is, with its end by the clock on the wall: others know no other one."""
    row, columns = outcome.changed[0], outcome.columns
    facts = {HELD_DIGEST: said.digest} if said.digest else {}
    if level := int(columns.held_level[outcome.changed].max()):
        until = moment(guard.wall_micros(int(columns.held_until_micros[row])))
        facts |= {"held_level": Level(level).name, "held_until_time": until}
    return facts


def _nobody() -> None:
    """Nobody waits for the first hold to end."""
