"""What the metrics show of the schedule: read in one statement when somebody asks for them."""

from __future__ import annotations

from services.cyclone.domain import steps
from services.cyclone.domain.cycle import CycleState
from services.cyclone.domain.outcomes import POSITIONS_NOT_READ
from shared.clock import Clock
from shared.database.pool import Database
from shared.database.statement import Statement
from shared.metrics import Figure, Values

FIGURES = (
    Figure(
        "sonic_last_good_cycle_timestamp_seconds",
        "End of the last cycle that judged the alerts, those of positions too",
    ),
    Figure("sonic_cycle_interval_seconds", "Time between cycles as it is set"),
    Figure("sonic_schedule_enabled", "1 while cycles are begun by the schedule, else 0"),
    Figure("sonic_heartbeat_configured", "1 when good cycles are told to HEARTBEAT_URL, else 0"),
)
_READ = Statement(f"""
    select interval_seconds, enabled, (select ended_time from cycle
        where state in ({CycleState.SUCCEEDED.value}, {CycleState.PARTIAL.value})
        and exists (select from jsonb_array_elements(steps) as step
            where step ->> 'name' = '{steps.EVALUATE_ALERTS}'
            and step ->> 'reason' <> '{POSITIONS_NOT_READ}')
        -- By a clock that was set back since: it says nothing of now.
        and greatest(created_time, ended_time) < cast(:now as timestamptz) + interval '1 minute'
        order by created_time desc, id desc limit 1) as good_time
    from setting
""")


class FigureStore:
    """Each reading is one statement."""

    def __init__(self, database: Database, clock: Clock, *, heartbeat_configured: bool) -> None:
        self._database = database
        self._clock = clock
        self._heartbeat_configured = heartbeat_configured

    async def read(self) -> Values:
        """FIGURES; before the first good cycle it has no time."""
        row = next(iter(await self._database.fetch(_READ, now=self._clock.now())), None)
        if row is None:
            return {}
        good_time = row["good_time"]
        return {
            "sonic_last_good_cycle_timestamp_seconds": {
                (): None if good_time is None else good_time.timestamp()
            },
            "sonic_cycle_interval_seconds": {(): row["interval_seconds"]},
            "sonic_schedule_enabled": {(): float(row["enabled"])},
            "sonic_heartbeat_configured": {(): float(self._heartbeat_configured)},
        }
