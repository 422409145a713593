"""CreateAlerts: the alerts that should exist, made once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from services.alerts.alerts.domain.alert_columns import AlertColumns
from services.alerts.alerts.domain.creation import Wanted, wanted
from services.alerts.alerts.domain.ends import back
from services.alerts.alerts.domain.subjects import NOBODY, Members
from services.alerts.domain.kinds import Level, parts_of
from services.alerts.ledger.domain import Entry, Sealed
from services.alerts.notifications.service.record import enqueue
from services.alerts.service.ports import PositionsPeer
from services.alerts.service.snapshot_cache import Snapshot, SnapshotCache, micros_of, offload
from services.alerts.store.service_state import ServiceState, new_version
from services.alerts.store.unit_of_work import Store
from shared.database.fence import Step
from shared.errors import Unavailable
from shared.log import get_logger

# A position that was notified to be gone and comes back later than this is another one.
_REMEMBERED = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Created:
    """`unread`: positions could not be asked, so that nothing was made for them."""

    created_count: int
    alert_count: int
    unread: bool = False


class EnsureAlerts:
    """Keeps alerts in step with what is held and with what is judged."""

    def __init__(self, cache: SnapshotCache, positions: PositionsPeer) -> None:
        self._cache = cache
        self._positions = positions

    async def create(self, step: Step, membership_epoch: int | None) -> Created:
        """Make what is missing by (type, class, subject); nothing while members and thresholds
        stay.

        `membership_epoch` is what the caller was notified by positions; None is asked for. Without
        positions the alerts of portfolio and prices are made all the same.
        """
        try:
            return await self._create(step, membership_epoch)
        except Unavailable as error:
            get_logger().warning(
                "alerts made without positions", reason=error.reason, detail=error.message
            )
            return await self._pass(step, None)

    async def _create(self, step: Step, membership_epoch: int | None) -> Created:
        last = self._cache.last()
        members: Members | None = None
        if last is not None and _is_settled(last.service_state):
            known = last.service_state.membership_epoch
            members = (
                None if known == membership_epoch else await self._positions.members_since(known)
            )
            if members is None:
                answer = Created(0, len(last.alert_columns))
                now = self._cache.clock.now()
                created = await self._cache.single_statement.create(
                    step, answer, last.service_state, now
                )
                if created is not None:
                    return created
        # Nothing known here, or it was old: other members, other thresholds.
        return await self._pass(step, members or await self._positions.members())

    async def _pass(self, step: Step, members: Members | None) -> Created:
        async with self._cache.begin() as store:
            done = await store.enter(step, Created)
            if done is not None:
                return done
            snapshot = await self._cache.snapshot(store, await store.service_state.lock())
            kept = await self._make(store, step, snapshot, members)
        self._cache.keep(*kept, snapshot)
        if len(kept[1]) > len(snapshot.alert_columns):
            # Somebody may be back.
            self._cache.outbox_filled()
        return Created(len(kept[1]) - len(snapshot.alert_columns), len(kept[1]), members is None)

    async def _make(
        self, store: Store, step: Step, snapshot: Snapshot, known: Members | None
    ) -> tuple[ServiceState, AlertColumns]:
        now, members = self._cache.clock.now(), known or NOBODY
        service_state, alert_columns = snapshot.service_state, snapshot.alert_columns
        found = await offload(
            len(members.position_key) * 5,
            wanted,
            alert_columns,
            snapshot.rules,
            members,
            service_state.next_subject_key,
            micros_of(now),
        )
        # Without members nothing is settled: who comes next looks again.
        changes: dict[str, Any] = {"complete": False}
        if known is not None:
            changes = {
                "membership_epoch": members.membership_epoch,
                "created_threshold_version": service_state.threshold_version,
                "complete": found.complete,
            }
        if len(found):
            alert_columns = await self._insert(store, step, snapshot, found)
            changes |= {
                "alert_version": new_version(),
                "next_alert_key": service_state.next_alert_key + len(found),
                "next_subject_key": found.next_subject_key,
                # Members may have been read before somebody closed: look again.
                "cleared_epoch": -1,
            }
        await store.service_state.change(**changes)
        await store.record(
            step, Created, Created(len(found), len(alert_columns), known is None), now
        )
        return service_state.with_changes(changes), alert_columns

    async def _insert(
        self, store: Store, step: Step, snapshot: Snapshot, found: Wanted
    ) -> AlertColumns:
        first = snapshot.service_state.next_alert_key
        found.columns["alert_key"][:] = np.arange(first, first + len(found))
        known = len(snapshot.alert_columns.assets)
        await store.alerts.insert_assets(known, found.assets[known:])
        await store.subjects.write(found.subjects)
        await store.alerts.insert(found.columns)
        now = self._cache.clock.now()
        held = [subject.name for subject in found.subjects if subject.subject_key > 0]
        ended_alerts = await store.ledger.ended_alerts(held, now - _REMEMBERED) if held else []
        entries = [_entry(step, found, now), *(_back(step, row, now) for row in ended_alerts)]
        sealed = await self._cache.write(store, entries)
        await enqueue(store, sealed[1:], now)
        return snapshot.alert_columns.followed_by(found.assets, found.columns)


def _back(step: Step, ended_alerts: Sealed, now: datetime) -> Entry:
    """That what this row notified to be gone is held ends the incident that it began."""
    inputs = json.dumps(back(json.loads(ended_alerts.entry.inputs_json), step.cycle_id))
    was = ended_alerts.entry
    return Entry(
        now, was.alert_id, was.type, "create", "BACK", Level.HIGH, Level.NORMAL, None, None, inputs,
        step.cycle_id, was.subject,
    )  # fmt: skip


def _is_settled(service_state: ServiceState) -> bool:
    return (
        service_state.complete
        and service_state.created_threshold_version == service_state.threshold_version
    )


def _entry(step: Step, found: Wanted, now: datetime) -> Entry:
    """One row for all that a pass made: each alert's own story begins with its first change of
    level.
    """
    kinds, counts = np.unique(found.columns["kind"], return_counts=True)
    by_type = {
        parts_of(kind)[0].name: count
        for kind, count in zip(kinds.tolist(), counts.tolist(), strict=True)
    }
    inputs = json.dumps({"created_count": len(found), "by_type": by_type})
    return Entry(now, "", 0, "create", "CREATED", 0, 0, None, None, inputs, step.cycle_id, "")
