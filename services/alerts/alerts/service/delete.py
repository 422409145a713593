"""Alerts that end: with their position, by hand, or all at once. The ledger keeps their rows."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from services.alerts.alerts.domain.alert_columns import AlertColumns
from services.alerts.alerts.domain.change_payload import (
    EndedAlert,
)
from services.alerts.alerts.domain.digests import Gathered, ended_digests
from services.alerts.alerts.domain.ends import AT_EASE, UNRECORDED, PositionEnd, end_notification
from services.alerts.alerts.domain.gathering import LedgerPlace, Told, gather_told
from services.alerts.alerts.domain.incidents import IS_OPPORTUNITY
from services.alerts.alerts.service.endings import (
    end_entries,
    ended,
    quiet_entries,
    was_told,
    without,
)
from services.alerts.domain.kinds import AlertClass, AlertType, Level, type_number
from services.alerts.ledger.domain.chain import Entry
from services.alerts.notifications.domain import CLOSED, ENDED_INCIDENTS
from services.alerts.notifications.service.gathering import Gathering, digest_entry
from services.alerts.service.commits import Commits, Decision, Entries
from services.alerts.service.part_size import PartSize
from services.alerts.service.ports import PositionsPeer, Present
from services.alerts.service.snapshot_cache import Snapshot, SnapshotCache
from services.alerts.store.service_state import ServiceState, new_version
from services.alerts.store.unit_of_work import Store
from shared.clock import micros_of
from shared.database.fence import Step
from shared.errors import require_confirmation
from shared.rpc import call

T = TypeVar("T")
Integers = NDArray[np.int64]
# Alerts of one commit: a second of work.
_PART_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class Cleared:
    """`is_part`: more are to be deleted."""

    cleared_count: int
    is_part: bool = False

    def after(self, earlier: Cleared) -> Cleared:
        """With what earlier parts deleted."""
        return replace(self, cleared_count=earlier.cleared_count + self.cleared_count)


@dataclass(slots=True)
class _Asked:
    """What positions said: its epoch by the caller, who is not closed, how others ended."""

    membership_epoch: int | None
    present: Present | None = None
    ends: Mapping[str, PositionEnd] = field(default_factory=dict)


class DeleteAlerts:
    """Deletes alerts."""

    def __init__(
        self,
        cache: SnapshotCache,
        commits: Commits,
        positions: PositionsPeer,
        gathering: Gathering,
        *,
        is_closing_told: bool = True,
    ) -> None:
        self._is_closing_told = is_closing_told
        self._cache = cache
        self._commits = commits
        self._positions = positions
        self._gathering = gathering
        self._part = PartSize(_PART_ROWS)

    async def clear_stale(
        self, step: Step, membership_epoch: int | None, end_seconds: float = math.inf
    ) -> Cleared:
        """Delete alerts whose position is closed, liquidated or deleted, or whose account is gone,
        and only those. Many are deleted in parts, see `Commits.step`.

        `membership_epoch` is what the caller heard from positions; None is asked for.
        """
        asked = _Asked(membership_epoch)
        with self._part.tried():
            return await self._commits.step(step, partial(self._decide, step, asked), end_seconds)

    async def delete(self, id: str, etag: str) -> None:
        """ALERT_NOT_FOUND, ETAG_MISMATCH. While its threshold judges it is made again."""
        async with self._commits.edit() as edit:
            snapshot = edit.snapshot
            rows = np.array([snapshot.row(id, etag)])
            step = Step("DELETE_ALERT")
            made = await ended(
                edit.store, snapshot.columns, rows, snapshot, step, self._now_micros()
            )
            after = snapshot.columns.without(rows)
            now = self._cache.clock.now()
            entries = quiet_entries(snapshot.columns, rows, made, after, now, call.person())
            state = replace(snapshot.service_state, complete=False)
            await edit.write(without(None, state, snapshot.columns, rows, entries))

    async def clear(self, confirm: str) -> int:
        """All alerts and readings, and nobody hears any more of them; NOT_CONFIRMED. Thresholds,
        price rules and ledger stay.
        """
        require_confirmation(confirm, "clear")
        now = self._cache.clock.now()
        async with self._commits.edit() as edit:
            snapshot, columns = edit.snapshot, edit.snapshot.columns
            told, step = np.flatnonzero(was_told(columns)), Step("CLEAR_ALERTS")
            made = await ended(edit.store, columns, told, snapshot, step, self._now_micros())
            state = replace(
                snapshot.service_state,
                alert_version=new_version(),
                membership_epoch=-1,
                complete=False,
            )
            empty = replace(columns.pick(slice(0)), evaluated_micros=0)
            entries = quiet_entries(
                columns, told, made, empty, now, call.person(), _summary(columns, now)
            )
            await edit.write(Decision(None, state, empty, entries=entries, also=_delete_all))
        return len(columns)

    async def _decide(
        self, step: Step, asked: _Asked, snapshot: Snapshot, store: Store | None
    ) -> Decision[Cleared]:
        state, columns = snapshot.service_state, snapshot.columns
        present = await self._other_present(state, asked, may_ask=store is None)
        if present is None:
            return Decision(Cleared(0), state, columns)
        epoch, keys = present
        lost = _lost(columns, keys)
        rows = _first_of(columns, lost, self._part.rows)
        is_part = len(rows) < len(lost)
        if not is_part:
            state = replace(state, cleared_epoch=epoch)
        if not len(rows):
            return Decision(Cleared(0), state, columns)
        async with self._commits.reading(store) as reading:
            made = await ended(reading, columns, rows, snapshot, step, self._now_micros())
            own = await self._gathering.own_channels(reading, columns, rows)
        if store is None:
            asked.ends = await self._positions.ends(_worst_first(columns, made))
        told = _told(columns, made, asked.ends, partial(self._gathering.channels, snapshot, own))
        told = [one for one in told if self._is_told(one)]
        commit = LedgerPlace(self._gathering.most, len(made), snapshot.head.sequence)
        left, over = _lost_digests(columns, rows)
        gathered = _settled(columns, made, told, over, gather_told(told, commit, left, over))
        entries = _closing_entries(columns, made, gathered, self._cache.clock.now())
        state = replace(state, complete=False)
        cleared = without(Cleared(len(rows), is_part), state, columns, rows, entries)
        return replace(cleared, is_part=is_part)

    def _is_told(self, one: Told) -> bool:
        """What people heard of they hear the end of all the same; an account's end is no news."""
        if one.is_all or one.payload["event"] != CLOSED:
            return True
        return self._is_closing_told and "account" not in one.payload

    async def _other_present(
        self, state: ServiceState, asked: _Asked, *, may_ask: bool
    ) -> Present | None:
        """Who is not closed; None when cleared already, or when nobody may be asked now."""
        known = state.cleared_epoch
        if known >= 0 and known == asked.membership_epoch:
            return None
        if asked.present is None and may_ask:
            asked.present = await (
                self._positions.present() if known < 0 else self._positions.present_since(known)
            )
        return asked.present

    def _now_micros(self) -> int:
        return micros_of(self._cache.clock.now())


async def _delete_all(store: Store) -> None:
    await store.alerts.delete_all()
    await store.evaluations.delete_all()
    await store.recordings.clear()
    await store.annotations.delete_all()
    # Of a market that may begin anew.
    await store.rules.forget_samples()
    await store.outbox.quieten()


def _told(
    columns: AlertColumns,
    made: Sequence[EndedAlert],
    ends: Mapping[str, PositionEnd],
    channels: Callable[[Mapping[str, str], int], tuple[str, ...]],
) -> list[Told]:
    """Of each position by what people hear that it ended: what happened to it."""
    of_one: dict[int, list[EndedAlert]] = {}
    for item in made:
        of_one.setdefault(int(columns.subject_key[item.row]), []).append(item)
    place_of = {item.row: place for place, item in enumerate(made)}
    told = []
    for key, items in of_one.items():
        own_incident = {item.row: item.payload["incident_id"] for item in items}
        unrecorded = AT_EASE if "account" in items[0].payload else UNRECORDED
        chosen = end_notification(columns, items, ends.get(items[0].subject.name, unrecorded))
        payload, is_closed = chosen.payload, chosen.payload["event"] == CLOSED
        single = {own_incident[item.row] for item in items if not columns.digest_sequence[item.row]}
        ended = payload.get(ENDED_INCIDENTS, "").split()
        if is_closed and columns.notified_level[chosen.row]:
            ended.append(payload["incident_id"])
        level = Level.LOW if is_closed else Level.HIGH
        told.append(
            Told(
                place_of[chosen.row],
                level,
                payload,
                channels(payload, level),
                key,
                [incident for incident in ended if incident in single],
                is_all=bool(ended),
            )
        )
    return told


def _settled(
    columns: AlertColumns,
    made: Sequence[EndedAlert],
    told: Sequence[Told],
    over: Sequence[int],
    gathered: Gathered,
) -> Gathered:
    """With what people heard of as news and no message ends, and such digests that are over: for
    the notification service alone.
    """
    said, ended = {one.place for one in told}, dict(gathered.ended)
    heard = was_told(columns) & IS_OPPORTUNITY[columns.kind]
    places = []
    for place, item in enumerate(made):
        digest = int(columns.digest_sequence[item.row])
        if digest in over and digest not in ended:
            ended[digest] = place
            places.append(place)
        elif heard[item.row] and not digest and place not in said:
            places.append(place)
    return replace(
        gathered,
        place=np.concatenate([gathered.place, np.array(places, np.int64)]),
        level=np.concatenate([gathered.level, np.full(len(places), int(Level.LOW))]),
        noted=np.concatenate([gathered.noted, np.ones(len(places), bool)]),
        ended=list(ended.items()),
    )


def _lost_digests(
    columns: AlertColumns, rows: NDArray[np.int64]
) -> tuple[list[tuple[int, int]], list[int]]:
    """Subjects of these rows that digests told of, with the digest, and digests that are over
    without them.
    """
    of_digest = rows[columns.digest_sequence[rows] > 0]
    subjects, digests = columns.subject_key[of_digest], columns.digest_sequence[of_digest]
    left = columns.digest_sequence.copy()
    left[rows] = 0
    return list(zip(subjects.tolist(), digests.tolist(), strict=True)), ended_digests(digests, left)


def _closing_entries(
    columns: AlertColumns, made: Sequence[EndedAlert], gathered: Gathered, now: datetime
) -> Entries:
    """All of them, then the digests by which people hear of many positions at once."""
    entries = end_entries(columns, made, "clear", now)
    count = len(entries)
    entries += [
        digest_entry(
            digest, [made[place].payload for place in digest.worst], entries[digest.worst[0]]
        )
        for digest in gathered.digests
    ]
    return Entries.gathered(count, lambda: entries, gathered)


def _worst_first(columns: AlertColumns, made: Iterable[EndedAlert]) -> list[str]:
    """Names of the positions: should there be more than can be asked for, those in danger first."""
    levels: dict[str, int] = {}
    for item in (one for one in made if "account" not in one.payload):
        level = int(columns.level[item.row])
        levels[item.subject.name] = max(levels.get(item.subject.name, 0), level)
    return sorted(levels, key=lambda name: -levels[name])


def _lost(columns: AlertColumns, keys: NDArray[np.int64]) -> NDArray[np.int64]:
    rows = np.flatnonzero(np.isin(columns.alert_class, (AlertClass.POSITION, AlertClass.ACCOUNT)))
    return rows[~np.isin(columns.subject_key[rows], keys)]


def _first_of(columns: AlertColumns, rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """About so many of these rows, those of the positions in the worst danger; all of a position
    together, for it ends with one notification.
    """
    if len(rows) <= most:
        return rows
    keys, places = np.unique(columns.subject_key[rows], return_inverse=True)
    levels = np.zeros(len(keys), np.int8)
    np.maximum.at(levels, places, columns.level[rows])
    ranks = np.empty(len(keys), np.int64)
    ranks[np.argsort(-levels, kind="stable")] = np.arange(len(keys))
    ordered = np.sort(ranks[places])
    first: NDArray[np.int64] = rows[ranks[places] <= ordered[most - 1]]
    return first


def _summary(columns: AlertColumns, now: datetime) -> list[Entry]:
    """One row a type, with how many stood at which level."""
    entries = []
    types = type_number(columns.kind)
    for alert_type in np.unique(types).tolist():
        levels = np.bincount(columns.level[types == alert_type], minlength=len(Level) + 1)
        inputs = {
            "cleared_count": int(levels.sum()),
            "level_count": {level.name: int(levels[level]) for level in Level},
            "type": AlertType(alert_type).name,
        }
        text = json.dumps(inputs)
        entries.append(
            Entry(now, "", alert_type, call.person(), "CLEARED", 0, 0, None, None, text, "", "")
        )
    return entries
