"""News of positions: read when positions says that there is some, told once."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Protocol

import numpy as np

from services.alerts.alerts.domain.alert_columns import AlertColumns
from services.alerts.alerts.domain.change_payload import ChangeContext
from services.alerts.alerts.domain.ends import (
    UNRECORDED,
    AlertedLife,
    PositionEnd,
    alerted_life,
    ending,
)
from services.alerts.alerts.domain.readings import Positions
from services.alerts.domain.kinds import Level
from services.alerts.notifications.domain import LIQUIDATED
from services.alerts.position_events.domain import (
    EventEntries,
    EventKind,
    PositionEvent,
    entries_of_events,
    first_openings,
    last_ends,
    opened_again,
)
from services.alerts.service.ports import PositionsPeer
from services.alerts.service.snapshot_cache import SnapshotCache
from services.alerts.store.service_state import ServiceState
from services.alerts.store.unit_of_work import Store
from shared.errors import Unavailable
from shared.log import get_logger


class EventSource(Protocol):
    """Events of positions. All raise Unavailable POSITIONS_UNAVAILABLE."""

    async def events(self, after_sequence: int) -> tuple[Sequence[PositionEvent], bool]:
        """The next of them, the oldest first, and whether there are more."""
        ...

    async def ends(self, position_ids: Sequence[str]) -> Sequence[PositionEvent]:
        """How these positions ended, the newest first, the last 500."""
        ...

    async def last_event(self) -> int:
        """The number of the newest one, 0 of none."""
        ...


@dataclass(frozen=True, slots=True)
class UntoldEvents:
    """Events after those that were told; `sequence`: what was told once these are, None: as it
    is. `is_restored`: positions is younger than what was told, and begins there again. `ends`,
    `backs`: see entries_of_events. `earlier`: ends that were read before and told by nobody, by the
    sequence of the event that the position is held again.
    """

    events: Sequence[PositionEvent] = ()
    sequence: int | None = None
    is_restored: bool = False
    ends: Mapping[int, str] = field(default_factory=dict)
    backs: frozenset[int] = frozenset()
    earlier: Mapping[int, PositionEvent] = field(default_factory=dict)


NO_EVENTS: Final = UntoldEvents()


class PositionNews:
    """Told are events of the wanted kinds."""

    def __init__(
        self,
        cache: SnapshotCache,
        source: EventSource,
        positions: PositionsPeer,
        told: Collection[int],
        most: int,
    ) -> None:
        self._cache = cache
        self._source = source
        self._positions = positions
        self._told = frozenset(told)
        self._most = most

    def tells(self, kind: EventKind) -> bool:
        """Whether people want to hear of these."""
        return kind in self._told

    async def untold(self, positions: Positions) -> UntoldEvents:
        """What is to be told by the last event that this pass of positions knows. Nobody is asked
        when that is told; no news must keep back what is judged, so a failure leaves it to the next
        time.
        """
        event_sequence = positions.event_sequence
        snapshot = self._cache.last() or await self._cache.present()
        told_sequence = snapshot.service_state.event_sequence
        if event_sequence == told_sequence:
            return NO_EVENTS
        try:
            if event_sequence < told_sequence:
                # A process of positions may show an older pass; or a backup was restored.
                last = await self._source.last_event()
                return UntoldEvents((), last, True) if last < told_sequence else NO_EVENTS
            events, are_more = await self._source.events(told_sequence)
            ends, earlier = await self._untold_ends(events, positions)
        except Unavailable as error:
            get_logger().warning("news of positions cannot be read", reason=error.reason)
            return NO_EVENTS
        last = max((event.sequence for event in events), default=0)
        until = last if are_more else max(last, event_sequence)
        backs = await self._backs(events)
        return UntoldEvents(events, until, ends=ends, backs=backs, earlier=earlier)

    async def _backs(self, events: Sequence[PositionEvent]) -> frozenset[int]:
        """Of positions that were told to be gone: that they are held was told with their alerts."""
        opened = [event for event in events if event.kind == EventKind.OPENED]
        if not opened:
            return frozenset()
        names, since = [event.position_id for event in opened], min(map(_moment, opened))
        async with self._cache.begin_reading() as store:
            told = await store.ledger.back(names, since)
        return frozenset(
            event.sequence
            for event in opened
            if event.position_id in told and told[event.position_id] >= _moment(event)
        )

    async def _untold_ends(
        self, events: Sequence[PositionEvent], positions: Positions
    ) -> tuple[Mapping[int, str], Mapping[int, PositionEvent]]:
        """Of positions that ended without an alert that tells it, how, by sequence; and those of
        the ends that were read before, see UntoldEvents.

        Alerts tell an end when they are deleted for it, which they never are of a position that is
        held again.
        """
        over, opened = last_ends(events), first_openings(events)
        if not over and not opened:
            return {}, {}
        async with self._cache.begin_reading() as store:
            snapshot = await self._cache.read(store)
            names = {event.position_id for event in [*over, *opened]}
            lives = await _alerted(store, snapshot.columns, names)
        earlier = await self._earlier(opened, lives)
        again = [*earlier.values(), *opened_again(events, over), *_held(over, lives, positions)]
        held = {event.sequence for event in again}
        left = [
            event
            for event in [*earlier.values(), *over]
            if event.sequence in held or event.position_id not in lives
        ]
        untold = await self._without_row(left)
        gone = [event.position_id for event in untold if event.sequence not in held]
        found = dict(await self._positions.ends(gone)) if gone else {}
        # Of one that is held again positions knows only how it is now.
        ends = {
            event.sequence: _again(event, lives.get(event.position_id))
            if event.sequence in held
            else _ending(event, found)
            for event in untold
        }
        return ends, {place: end for place, end in earlier.items() if end.sequence in ends}

    async def _earlier(
        self, opened: Sequence[PositionEvent], lives: Mapping[str, AlertedLife]
    ) -> Mapping[int, PositionEvent]:
        """Of positions whose alerts are of the time before they opened, how they ended then."""
        since = {
            event.position_id: lives[event.position_id].created_micros
            for event in opened
            if event.position_id in lives
            and lives[event.position_id].created_micros < event.event_micros
        }
        if not since:
            return {}
        last: dict[str, PositionEvent] = {}
        first = {event.position_id: event.sequence for event in opened}
        for end in await self._source.ends(list(since)):
            id = end.position_id
            if end.sequence < first[id] and since[id] <= end.event_micros:
                last.setdefault(id, end)
        return {first[id]: end for id, end in last.items()}

    async def _without_row(self, over: Sequence[PositionEvent]) -> list[PositionEvent]:
        """Those of these ends that the ledger does not tell since."""
        if not over:
            return []
        since = min(map(_moment, over))
        async with self._cache.begin_reading() as store:
            ended = await store.ledger.ended([event.position_id for event in over], since)
        return [
            event
            for event in over
            if event.position_id not in ended or ended[event.position_id] <= _moment(event)
        ]

    def entries(
        self, untold: UntoldEvents, state: ServiceState, context: ChangeContext, now: datetime
    ) -> EventEntries:
        """Of those that nobody else told meanwhile."""
        left = [
            one
            for event in untold.events
            if event.sequence > state.event_sequence
            for one in (untold.earlier.get(event.sequence), event)
            if one is not None
        ]
        return entries_of_events(
            left, self._told, self._most, context, now, untold.ends, untold.backs
        )


async def _alerted(
    store: Store, columns: AlertColumns, names: Collection[str]
) -> Mapping[str, AlertedLife]:
    """Those of these positions that have alerts, by id."""
    keys = np.array(await store.subjects.find(list(names)), np.int64)
    subjects = await store.subjects.read(keys[np.isin(keys, columns.subject_key)])
    return {one.name: alerted_life(columns, key) for key, one in subjects.items()}


def _held(
    over: Sequence[PositionEvent], lives: Mapping[str, AlertedLife], positions: Positions
) -> list[PositionEvent]:
    """Those of these ends that this pass knows of positions that are held in it all the same."""
    known = [
        event
        for event in over
        if event.position_id in lives and event.sequence <= positions.event_sequence
    ]
    keys = np.array([lives[event.position_id].position_key for event in known], np.int64)
    places = np.flatnonzero(positions.rows_of(keys) >= 0)
    return [known[place] for place in places.tolist()]


def _moment(event: PositionEvent) -> datetime:
    return datetime.fromtimestamp(event.event_micros / 1_000_000, UTC)


def _ending(event: PositionEvent, found: Mapping[str, PositionEnd]) -> str:
    if event.kind == EventKind.LIQUIDATED:
        return LIQUIDATED
    end = found.get(event.position_id, UNRECORDED)
    return ending(end, end.distance_percent, Level.NORMAL)


def _again(event: PositionEvent, life: AlertedLife | None) -> str:
    """By what its alerts saw last of the life that ended."""
    if event.kind == EventKind.LIQUIDATED:
        return LIQUIDATED
    distance, worst = (
        (math.nan, Level.NORMAL) if life is None else (life.distance_percent, life.worst)
    )
    return ending(UNRECORDED, distance, worst)


def told_until(untold: UntoldEvents, state: ServiceState) -> int:
    """The event up to which all are told once these are."""
    if untold.sequence is None:
        return state.event_sequence
    if untold.is_restored:
        return untold.sequence
    return max(state.event_sequence, untold.sequence)
