"""What limits would raise now; changes nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from services.alerts.alerts.domain.previews import Preview, preview
from services.alerts.alerts.domain.subjects import Subject
from services.alerts.domain.kinds import kind_of
from services.alerts.service.known_names import known_scope
from services.alerts.service.offload import offload
from services.alerts.service.snapshot_cache import SnapshotCache
from services.alerts.thresholds.domain import Scope, Threshold, ThresholdSet, check_limits


@dataclass(frozen=True, slots=True)
class Previewed:
    """A preview with whom it is about, by subject key; time in microseconds, 0: never."""

    scope: Scope
    preview: Preview
    subjects: Mapping[int, Subject]
    evaluated_micros: int


class Previews:
    """Looks at the last readings through other limits."""

    def __init__(self, cache: SnapshotCache) -> None:
        self._cache = cache

    async def show(self, scope: Scope, limits: Sequence[float | None]) -> Previewed:
        """LIMITS_OUT_OF_ORDER, INVALID_FIELD as an edit with these limits would say."""
        now = self._cache.clock.now()
        low, medium, high = limits
        asked = Threshold(scope, low, medium, high, True, (), (), (), 0, now)
        check_limits(asked)
        async with self._cache.begin_reading() as store:
            snapshot = await self._cache.read(store)
            columns = snapshot.columns
            asked = replace(asked, scope=known_scope(scope, snapshot))
            kind = kind_of(scope.type, scope.condition)
            judging = ThresholdSet([*snapshot.thresholds.rows, asked])
            is_judged = [judging.find(kind, name) is asked for name in columns.assets]
            numbers = [math.nan if limit is None else limit for limit in limits]
            found = await offload(len(columns), preview, columns, scope, numbers, is_judged)
            keys = np.array([row.subject_key for row in found.worst], np.int64)
            subjects = await store.subjects.read(keys)
        return Previewed(asked.scope, found, subjects, columns.evaluated_micros)
