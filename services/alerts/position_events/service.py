"""News of positions: read when positions says that there is some, told once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Protocol

import numpy as np

from services.alerts.alerts.domain.change_payload import ChangeContext
from services.alerts.alerts.domain.ends import UNRECORDED, PositionEnd, ending
from services.alerts.domain.kinds import Level
from services.alerts.notifications.domain import LIQUIDATED
from services.alerts.position_events.domain import (
    EventEntries,
    EventKind,
    PositionEvent,
    entries_of_events,
    last_ends,
)
from services.alerts.service.ports import PositionsPeer
from services.alerts.service.snapshot_cache import SnapshotCache
from services.alerts.store.service_state import ServiceState
from shared.errors import Unavailable
from shared.log import get_logger


class EventSource(Protocol):
    """Events of positions. Both raise Unavailable POSITIONS_UNAVAILABLE."""

    async def events(self, after_sequence: int) -> tuple[Sequence[PositionEvent], bool]:
        """The next of them, the oldest first, and whether there are more."""
        ...

    async def last_event(self) -> int:
        """The number of the newest one, 0 of none."""
        ...


@dataclass(frozen=True, slots=True)
class UntoldEvents:
    """Events after those that were told; `sequence`: what was told once these are, None: as it
    is. `is_restored`: positions is younger than what was told, and begins there again. `ends`,
    `backs`: see entries_of_events.
    """

    events: Sequence[PositionEvent] = ()
    sequence: int | None = None
    is_restored: bool = False
    ends: Mapping[int, str] = field(default_factory=dict)
    backs: frozenset[int] = frozenset()


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

    async def untold(self, event_sequence: int) -> UntoldEvents:
        """What is to be told by the last event that positions knows. Nobody is asked when that is
        told; no news must keep back what is judged, so a failure leaves it to the next time.
        """
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
            ends = await self._untold_ends(events)
        except Unavailable as error:
            get_logger().warning("news of positions cannot be read", reason=error.reason)
            return NO_EVENTS
        last = max((event.sequence for event in events), default=0)
        until = last if are_more else max(last, event_sequence)
        return UntoldEvents(events, until, ends=ends, backs=await self._backs(events))

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

    async def _untold_ends(self, events: Sequence[PositionEvent]) -> Mapping[int, str]:
        """Of positions that ended without an alert that tells it, how; by sequence."""
        over = last_ends(events)
        if not over:
            return {}
        names = [event.position_id for event in over]
        since = min(_moment(event) for event in over)
        async with self._cache.begin_reading() as store:
            snapshot = await self._cache.read(store)
            keys = np.array(await store.subjects.find(names), np.int64)
            keys = keys[np.isin(keys, snapshot.columns.subject_key)]
            alerted = {one.name for one in (await store.subjects.read(keys)).values()}
            left = [event for event in over if event.position_id not in alerted]
            ended = await store.ledger.ended([event.position_id for event in left], since)
        untold = [
            event
            for event in left
            if event.position_id not in ended or ended[event.position_id] <= _moment(event)
        ]
        if not untold:
            return {}
        found = await self._positions.ends([event.position_id for event in untold])
        return {event.sequence: _ending(event, found) for event in untold}

    def entries(
        self, untold: UntoldEvents, state: ServiceState, context: ChangeContext, now: datetime
    ) -> EventEntries:
        """Of those that nobody else told meanwhile."""
        left = [event for event in untold.events if event.sequence > state.event_sequence]
        return entries_of_events(
            left, self._told, self._most, context, now, untold.ends, untold.backs
        )


def _moment(event: PositionEvent) -> datetime:
    return datetime.fromtimestamp(event.event_micros / 1_000_000, UTC)


def _ending(event: PositionEvent, found: Mapping[str, PositionEnd]) -> str:
    if event.kind == EventKind.LIQUIDATED:
        return LIQUIDATED
    end = found.get(event.position_id, UNRECORDED)
    return ending(end, end.distance_percent, Level.NORMAL)


def told_until(untold: UntoldEvents, state: ServiceState) -> int:
    """The event up to which all are told once these are."""
    if untold.sequence is None:
        return state.event_sequence
    if untold.is_restored:
        return untold.sequence
    return max(state.event_sequence, untold.sequence)
