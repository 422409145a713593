"""What the metrics show of the schedule."""

from __future__ import annotations

from datetime import datetime, timedelta

from services.cyclone.domain.cycle import Step, StepState
from services.cyclone.store.figures import FigureStore
from services.cyclone.store.rows import steps_json
from shared.clock import PushedClock
from shared.database.pool import Database
from tests.contract.cyclone.conftest import START, Servers

_ENDED = (
    "insert into cycle (id, state, cause, created_time, started_time, ended_time, epoch, message,"
    " demo, cancel, request_id, steps) values ($1, $2, 1, $3, $3, $3, 1, '', false, false, '', $4)"
    " returning 1"
)
_GOOD = "sonic_last_good_cycle_timestamp_seconds"


async def test_good_is_a_cycle_that_judged_the_positions_by_a_clock_that_is_not_ahead(
    servers: Servers, database: Database, clock: PushedClock
) -> None:
    figures = FigureStore(database, clock, heartbeat_configured=False)
    await servers.rows("insert into setting values (1, 60, true, $1, 0, 1) returning 1", START)

    async def ended(
        id: str, state: int, time: datetime, name: str = "EVALUATE_ALERTS", reason: str = ""
    ) -> float | None:
        step = Step(name, StepState.PARTIAL, 1, reason=reason)
        await servers.rows(_ENDED, id, state, time, steps_json([step]))
        return (await figures.read())[_GOOD][()]

    right = START - timedelta(minutes=2)
    assert await ended("ahead", 3, START + timedelta(hours=5)) is None
    assert await ended("good", 4, right) == right.timestamp()
    assert await ended("failed", 5, START) == right.timestamp()
    assert await ended("other", 3, START, "NOTIFY") == right.timestamp()
    assert await ended("unread", 4, START, reason="POSITIONS_NOT_READ") == right.timestamp()
    # Clocks of two machines need not agree to the second.
    near = START + timedelta(seconds=20)
    assert await ended("near", 3, near) == near.timestamp()
