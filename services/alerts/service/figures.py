"""What the metrics show of alerts: counted in the snapshot that this process knows anyway."""

from __future__ import annotations

import numpy as np

from services.alerts.domain.kinds import AlertStatus, Level
from services.alerts.service.snapshot_cache import SnapshotCache
from services.alerts.store.figures import OUTBOX_FIGURES
from shared.metrics import Figure, Values

FIGURES = (
    Figure(
        "sonic_alerts", "Alerts by level, and whether a person quietened them", ("level", "state")
    ),
    Figure("sonic_alerts_judged_timestamp_seconds", "When alerts were last judged"),
    *OUTBOX_FIGURES,
)
_HELD = {
    0: AlertStatus.ACTIVE.name,
    AlertStatus.SILENCED: AlertStatus.SILENCED.name,
    AlertStatus.ACKNOWLEDGED: AlertStatus.ACKNOWLEDGED.name,
}
_MICROS = 1_000_000


class AlertFigures:
    """Reads no alert again that did not change."""

    def __init__(self, cache: SnapshotCache) -> None:
        self._cache = cache

    async def read(self) -> Values:
        """FIGURES."""
        async with self._cache.begin_reading() as store:
            columns = (await self._cache.read(store)).columns
            outbox = await store.figures.read(self._cache.clock)
        counts = np.zeros((max(Level) + 1, max(_HELD) + 1), np.int64)
        np.add.at(counts, (columns.level, columns.held_status), 1)
        judged = columns.evaluated_micros
        return {
            "sonic_alerts": {
                (level.name, state): float(counts[level, held])
                for level in Level
                for held, state in _HELD.items()
            },
            "sonic_alerts_judged_timestamp_seconds": {(): judged / _MICROS if judged else None},
            **outbox,
        }
