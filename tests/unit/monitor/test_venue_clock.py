"""What was remembered of a venue by a clock that was ahead puts nothing off once it is right."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.monitor.domain.venues import VenueReading
from tests.unit.monitor.test_venue_check import AWAY, FAILED, HALTED, Watched
from tests.unit.monitor.test_venues import WELL

BACK = timedelta(hours=-5)


@pytest.mark.parametrize(
    ("reading", "state"), [(AWAY, "DEGRADED"), (HALTED, "DOWN"), (FAILED, "DOWN")]
)
@pytest.mark.parametrize("looks_before", [1, 8])
async def test_trouble_that_a_clock_ahead_saw_is_told_and_ended_in_minutes(
    reading: VenueReading, state: str, looks_before: int
) -> None:
    watched = Watched()
    await watched.look(WELL)
    await watched.look(reading, times=looks_before)
    told = len(watched.told)
    await watched.look(reading, later=BACK)
    await watched.look(reading, times=6)
    assert len(watched.told) == max(told, 1)
    assert watched.last is not None
    known = watched.last.metadata["venues"]["dydx"]
    assert (known["state"], known["told"]) == (state, state)
    assert known["since"] <= watched.now.isoformat()
    await watched.look(WELL, times=7)
    assert watched.told[-1].ends_incident and watched.incident is None


async def test_well_by_a_clock_ahead_is_over_five_minutes_after_it_is_right() -> None:
    watched = Watched()
    await watched.look(AWAY, times=8)
    await watched.look(WELL, times=2)
    await watched.look(WELL, later=BACK)
    await watched.look(WELL, times=6)
    assert [one.ends_incident for one in watched.told] == [False, True]
