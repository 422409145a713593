"""What is forgotten, and after how long."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from services.positions.service.ports import Begin
from services.positions.store.retention import BITE_ROWS
from shared.clock import Clock
from shared.log import get_logger


class Retention:
    """Deletes what is older than its days, by kind; 0 days = keep for ever."""

    def __init__(self, begin: Begin, clock: Clock, days: Mapping[str, float]) -> None:
        self._begin = begin
        self._clock = clock
        self._days = days

    async def sweep(self) -> Mapping[str, int]:
        """Rows deleted by kind; each bite is a transaction of its own, so nobody waits for it."""
        now, counts = self._clock.now(), {}
        for kind, days in self._days.items():
            counts[kind] = await self._forget(kind, now - timedelta(days=days)) if days > 0 else 0
        if any(counts.values()):
            get_logger().info("forgotten by age", **counts)
        return counts

    async def _forget(self, kind: str, before: datetime) -> int:
        total = 0
        while True:
            async with self._begin() as store:
                gone = await store.retention.forget(kind, before)
            total += gone
            if gone < BITE_ROWS:
                return total
