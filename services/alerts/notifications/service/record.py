"""Writes changes of level into ledger and outbox, in the caller's transaction. Changes nothing
itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime

import numpy as np

from services.alerts.alerts.domain.change_payload import Change, alert_id
from services.alerts.domain.kinds import Level
from services.alerts.ledger.domain import Entry, Sealed
from services.alerts.service.snapshot_cache import (
    PYTHON_ROW_COST,
    SnapshotCache,
    micros_of,
    offload,
)
from services.alerts.store.unit_of_work import Store


def known_or_none(number: float) -> float | None:
    return None if math.isnan(number) else number


async def record_changes(
    cache: SnapshotCache,
    store: Store,
    made: Sequence[Change],
    *,
    actor: str,
    cycle_id: str,
    now: datetime,
) -> bool:
    """One ledger row a change, one outbox row a change that is notified or noted;
    whether there is one."""
    if not made:
        return False
    entries = await offload(len(made) * PYTHON_ROW_COST, _entries, made, actor, cycle_id, now)
    rows = await cache.write(store, entries)
    notified = [row for change, row in zip(made, rows, strict=True) if change.notified]
    noted = [
        row for change, row in zip(made, rows, strict=True) if change.noted and not change.notified
    ]
    await enqueue(store, notified, now)
    await enqueue(store, noted, now, noted=True)
    return bool(notified or noted)


async def enqueue(
    store: Store,
    rows: Iterable[Sealed],
    now: datetime,
    *,
    noted: bool = False,
    level: Level = Level.LOW,
) -> None:
    """Into the outbox: rows of the ledger that people must hear of, not below `level`.

    `noted`: the notification service alone is to know, before anything quieter than HIGH.
    """
    places = [(row.sequence, max(row.entry.level_after, level)) for row in rows]
    if places:
        sequences, levels = np.array(places).T
        await store.outbox.append(sequences, levels, micros_of(now), np.full(len(places), noted))


def _entries(made: Sequence[Change], actor: str, cycle_id: str, now: datetime) -> list[Entry]:
    return [
        Entry(
            now,
            alert_id(change.alert_key),
            change.kind // 4,
            actor,
            change.reason,
            change.level_before,
            change.level_after,
            known_or_none(change.value),
            known_or_none(change.flip_value),
            change.text,
            cycle_id,
            change.name,
        )
        for change in made
    ]
