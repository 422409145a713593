"""Which of two monitors tells of wallets that cannot be read: one trouble is told once."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from services.monitor.domain.venues import VenueMemory, VenueReading

COMES_AND_GOES: Final = timedelta(minutes=15)


def is_told_by_venue(reading: VenueReading, before: VenueMemory | None, now: datetime) -> bool:
    """Whether wallets that cannot be read are told of as a venue that is DOWN, at HIGH, now or at
    the next look, and not by name before it. `before`: the last look, None: there was none, or
    nobody looks.

    Not of a venue at which nothing is held, or that comes and goes: of that no two looks need to
    follow one another, and somebody has to say so.
    """
    if before is None or not reading.is_unreadable or not reading.position_count:
        return False
    last = before.unreadable_time
    return before.failing_since is not None or last is None or now - last >= COMES_AND_GOES
