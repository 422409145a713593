"""News of positions: read when positions says that there is some, told once."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from services.alerts.alerts.domain.change_payload import ChangeContext
from services.alerts.position_events.domain import (
    EventEntries,
    EventKind,
    PositionEvent,
    entries_of_events,
)
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
    is. `is_restored`: positions is younger than what was told, and begins there again.
    """

    events: Sequence[PositionEvent] = ()
    sequence: int | None = None
    is_restored: bool = False


NO_EVENTS: Final = UntoldEvents()


class PositionNews:
    """Told are events of the wanted kinds."""

    def __init__(
        self, cache: SnapshotCache, source: EventSource, told: Collection[int], most: int
    ) -> None:
        self._cache = cache
        self._source = source
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
        except Unavailable as error:
            get_logger().warning("news of positions cannot be read", reason=error.reason)
            return NO_EVENTS
        last = max((event.sequence for event in events), default=0)
        return UntoldEvents(events, last if are_more else max(last, event_sequence))

    def entries(
        self, untold: UntoldEvents, state: ServiceState, context: ChangeContext, now: datetime
    ) -> EventEntries:
        """Of those that nobody else told meanwhile."""
        left = [event for event in untold.events if event.sequence > state.event_sequence]
        return entries_of_events(left, self._told, self._most, context, now)


def told_until(untold: UntoldEvents, state: ServiceState) -> int:
    """The event up to which all are told once these are."""
    if untold.sequence is None:
        return state.event_sequence
    if untold.is_restored:
        return untold.sequence
    return max(state.event_sequence, untold.sequence)
