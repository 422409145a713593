"""Forgets by age, hour by hour."""

from datetime import timedelta

from services.positions.service.retention import Retention
from shared.clock import Clock
from shared.lifecycle import Loop

_PERIOD = timedelta(hours=1)
_START = timedelta(minutes=5)


def retention_loop(retention: Retention, clock: Clock) -> Loop:
    """The loop as a part; its first run is minutes after the start, when the system is calm."""

    async def body() -> float:
        await retention.sweep()
        return _PERIOD.total_seconds()

    return Loop("positions retention", body, clock, first_delay_seconds=_START.total_seconds())
