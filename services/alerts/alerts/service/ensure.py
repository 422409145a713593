"""CreateAlerts: the alerts that should exist, made once."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

import numpy as np

from services.alerts.alerts.domain.missing_alerts import Wanted, all_made, wanted
from services.alerts.alerts.domain.subjects import NOBODY, Members
from services.alerts.alerts.service.backs import back_entries
from services.alerts.domain.kinds import parts_of
from services.alerts.ledger.domain.chain import Entry
from services.alerts.notifications.service.gathering import Gathering
from services.alerts.service.commits import Commits, Decision, Entries
from services.alerts.service.offload import offload
from services.alerts.service.part_size import PartSize
from services.alerts.service.ports import PositionsPeer
from services.alerts.service.snapshot_cache import Snapshot, SnapshotCache
from services.alerts.store.service_state import ServiceState, new_version
from services.alerts.store.unit_of_work import Store
from shared.clock import micros_of
from shared.database.fence import Step
from shared.errors import Unavailable
from shared.log import get_logger

# Alerts of one commit: a second of work.
_PART_ROWS = 100_000


@dataclass(frozen=True, slots=True)
class Created:
    """`unread`: positions could not be asked, so that nothing was made for them; `is_part`: more is
    missing.
    """

    created_count: int
    alert_count: int
    unread: bool = False
    is_part: bool = False

    def after(self, earlier: Created) -> Created:
        """With what earlier parts made."""
        return replace(self, created_count=earlier.created_count + self.created_count)


@dataclass(slots=True)
class _Asked:
    """What positions said: its epoch by the caller, and who is held, asked once for these
    thresholds.
    """

    membership_epoch: int | None
    members: Members | None = None
    threshold_version: int | None = None

    def is_good_for(self, other: _Asked) -> bool:
        """Whether the other would hear the same."""
        return (
            self.members is not None
            and self.members.membership_epoch == other.membership_epoch
            and self.threshold_version == other.threshold_version
        )


class EnsureAlerts:
    """Keeps alerts in step with what is held and with what is judged."""

    def __init__(
        self,
        cache: SnapshotCache,
        commits: Commits,
        positions: PositionsPeer,
        gathering: Gathering,
    ) -> None:
        self._cache = cache
        self._commits = commits
        self._positions = positions
        self._gathering = gathering
        self._part = PartSize(_PART_ROWS)
        # All members, while alerts are made for them: reading many takes a good part of a call.
        self._left: _Asked | None = None

    async def create(
        self, step: Step, membership_epoch: int | None, end_seconds: float = math.inf
    ) -> Created:
        """Make what is missing by (type, class, subject); nothing while members and thresholds
        stay. Many are made in parts, see `Commits.step`.

        `membership_epoch` is what the caller heard from positions; None is asked for. Without
        positions the alerts of portfolio and prices are made all the same.
        """
        asked = _Asked(membership_epoch)
        with self._part.tried():
            return await self._commits.step(step, partial(self._decide, step, asked), end_seconds)

    async def _decide(
        self, step: Step, asked: _Asked, snapshot: Snapshot, store: Store | None
    ) -> Decision[Created]:
        state, columns = snapshot.service_state, snapshot.columns
        try:
            members = await self._other_members(snapshot, asked, may_ask=store is None)
        except Unavailable as error:
            get_logger().warning(
                "alerts made without positions", reason=error.reason, detail=error.message
            )
            # Nothing is complete: who comes next looks again.
            members, after = NOBODY, replace(state, complete=False)
        else:
            if members is None:
                return Decision(Created(0, len(columns)), state, columns)
            after = replace(
                state,
                membership_epoch=members.membership_epoch,
                created_threshold_version=state.threshold_version,
            )
        return await self._make(step, snapshot, after, members, store)

    async def _make(
        self,
        step: Step,
        snapshot: Snapshot,
        after: ServiceState,
        members: Members,
        store: Store | None,
    ) -> Decision[Created]:
        """What is missing for these members."""
        columns, now = snapshot.columns, self._cache.clock.now()
        found = await offload(
            len(members.position_key) * 5,
            wanted,
            columns,
            snapshot.thresholds,
            members,
            after.next_subject_key,
            micros_of(now),
            self._part.rows,
        )
        is_unread = members is NOBODY
        if found.is_part:
            # As if nobody had looked: who comes next does.
            state = snapshot.service_state
            after = replace(after, membership_epoch=state.membership_epoch)
        else:
            self._left = None
        is_complete = found.complete and not is_unread and not found.is_part
        after = replace(after, complete=is_complete)
        if not len(found):
            return Decision(Created(0, len(columns), is_unread), after, columns)
        first = after.next_alert_key
        found.columns["alert_key"][:] = np.arange(first, first + len(found))
        made = columns.followed_by(found.assets, found.columns)
        return Decision(
            Created(len(found), len(made), is_unread, found.is_part),
            replace(
                after,
                alert_version=new_version(),
                next_alert_key=first + len(found),
                next_subject_key=found.next_subject_key,
                # Members may have been read before somebody closed: look again.
                cleared_epoch=-1,
            ),
            made,
            entries=await self._made_entries(step, snapshot, found, now, store),
            also=partial(_insert, found, len(columns.assets)),
            is_part=found.is_part,
        )

    async def _other_members(
        self, snapshot: Snapshot, asked: _Asked, *, may_ask: bool
    ) -> Members | None:
        """Who is held; None when alerts were made for them, or when nobody may be asked now."""
        state = snapshot.service_state
        known = state.membership_epoch
        is_made = state.complete and state.created_threshold_version == state.threshold_version
        if is_made and known == asked.membership_epoch:
            return None
        version, left = state.threshold_version, self._left
        if asked.threshold_version != version:
            # Those who had every alert may have been left out.
            asked.threshold_version, asked.members = version, None
        if left is not None and left.is_good_for(asked):
            asked.members = left.members
        if asked.members is None and may_ask:
            if is_made:
                known_keys = all_made(snapshot.columns, snapshot.thresholds)
                asked.members = await self._positions.members_since(known, known_keys)
            else:
                asked.members = await self._positions.members()
                self._left = asked
        return asked.members

    async def _made_entries(
        self, step: Step, snapshot: Snapshot, found: Wanted, now: datetime, store: Store | None
    ) -> Entries:
        """What was made; and what was GONE is BACK, of which people hear."""
        held = [subject.name for subject in found.subjects if subject.subject_key > 0]
        made = _entry(step, found, now)
        async with self._commits.reading(store) as reading:
            return await back_entries(reading, self._gathering, snapshot, step, held, made)


async def _insert(found: Wanted, known_asset_count: int, store: Store) -> None:
    await store.alerts.insert_assets(known_asset_count, found.assets[known_asset_count:])
    await store.subjects.write(found.subjects)
    await store.alerts.insert(found.columns)


def _entry(step: Step, found: Wanted, now: datetime) -> Entry:
    """One row for all that a pass made: an alert's own begin with its first change of level."""
    kinds, counts = np.unique(found.columns["kind"], return_counts=True)
    by_type = {
        parts_of(kind)[0].name: count
        for kind, count in zip(kinds.tolist(), counts.tolist(), strict=True)
    }
    inputs = json.dumps({"created_count": len(found), "by_type": by_type})
    return Entry(now, "", 0, "create", "CREATED", 0, 0, None, None, inputs, step.cycle_id, "")
