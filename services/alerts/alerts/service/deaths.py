"""Deaths: something of the house does not live. Raised once, always HIGH, told again when over."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from services.alerts.alerts.domain.alert_columns import Board, fresh_columns
from services.alerts.alerts.domain.change_payload import Change, Setting, alert_id, death_facts, incident_id
from services.alerts.alerts.domain.evaluation import with_level
from services.alerts.alerts.domain.subjects import Subject
from services.alerts.alerts.domain.views import Alert, show
from services.alerts.domain.kinds import DEATH_KIND, Level
from services.alerts.notifications.service.record import record_changes
from services.alerts.service.ports import PositionsPeer
from services.alerts.service.snapshot_cache import Desk, Image, micros_of
from services.alerts.store.service_state import Docket, new_version
from services.alerts.store.unit_of_work import Store
from shared.database.fence import Step
from shared.errors import Unavailable


@dataclass(frozen=True, slots=True)
class _Nothing:
    """Deaths are idempotent by their incident; the fence only keeps paused callers out."""


@dataclass(frozen=True, slots=True)
class _Case:
    """The alert of an incident: its row of a board that may not be written yet."""

    docket: Docket
    board: Board
    row: int
    subject: Subject

    @property
    def level(self) -> Level:
        return Level(self.board.level[self.row])


class Deaths:
    """DEATH_NAIL alerts, one for each incident name."""

    def __init__(self, desk: Desk, positions: PositionsPeer) -> None:
        self._desk = desk
        self._positions = positions

    async def raise_death(self, step: Step, incident: str, summary: str) -> Alert:
        """The alert of the incident, raised unless it is already; told once."""
        demo = await self._is_demo()
        now = self._desk.clock.now()
        async with self._desk.begin() as store:
            await store.enter(step, _Nothing)
            image = await self._desk.image(store, await store.docket.lock())
            case = await _find(store, image, incident)
            if case is not None and case.level is Level.HIGH:
                return show(case.board, image.tables, case.row, case.subject)
            setting = Setting(step.cycle_id, image.docket.demo if demo is None else demo, micros_of(now))
            if case is None:
                case = await _open(store, image, incident, setting)
            case = replace(case, subject=case.subject._replace(summary=summary))
            await store.subjects.write([case.subject])
            case = await self._turn(store, case, Level.HIGH, setting, now)
        self._desk.keep(case.docket, case.board, image)
        self._desk.told()
        return show(case.board, image.tables, case.row, case.subject)

    async def resolve_death(self, step: Step, incident: str) -> bool:
        """Whether an incident ended now; its recovery is told once."""
        now = self._desk.clock.now()
        async with self._desk.begin() as store:
            await store.enter(step, _Nothing)
            image = await self._desk.image(store, await store.docket.lock())
            case = await _find(store, image, incident)
            if case is None or case.level is Level.NORMAL:
                return False
            setting = Setting(step.cycle_id, image.docket.demo, micros_of(now))
            case = await self._turn(store, case, Level.NORMAL, setting, now)
        self._desk.keep(case.docket, case.board, image)
        self._desk.told()
        return True

    async def _turn(self, store: Store, case: _Case, level: Level, setting: Setting, now: datetime) -> _Case:
        """Set the level with its ledger row and its message."""
        before = case.level
        board, told = with_level(case.board, case.row, level, setting.now_micros)
        rows = np.array([case.row])
        await store.alerts.update(board, rows)
        await store.alerts.update_by_hand(board, rows)
        key, count = int(board.alert_key[case.row]), int(board.incident_count[case.row])
        facts = death_facts(case.subject.name, case.subject.summary, before, level, setting)
        facts["alert_id"], facts["incident_id"] = alert_id(key), incident_id(key, count)
        change = Change(
            alert_key=key,
            kind=DEATH_KIND,
            name=case.subject.name,
            level_before=before,
            level_after=level,
            value=math.nan,
            flip_value=math.nan,
            told=told,
            reason="RAISED" if level > before else "LOWERED",
            text=json.dumps(facts),
            noted=level is Level.NORMAL and not told,
        )
        await record_changes(self._desk, store, [change], actor="system", cycle_id=setting.cycle_id, now=now)
        changes = {"alert_version": new_version(), "demo": setting.demo}
        await store.docket.change(**changes)
        return replace(case, board=board, docket=case.docket.with_changes(changes))

    async def _is_demo(self) -> bool | None:
        """None when positions cannot be asked: it may be the one that died."""
        try:
            return await self._positions.is_demo()
        except Unavailable:
            return None


async def _find(store: Store, image: Image, incident: str) -> _Case | None:
    board = image.board
    keys = await store.subjects.find(incident)
    rows = np.flatnonzero((board.kind == DEATH_KIND) & np.isin(board.subject_key, keys)).tolist()
    if not rows:
        return None
    key = int(board.subject_key[rows[0]])
    subject = (await store.subjects.read(np.array([key])))[key]
    return _Case(image.docket, board, rows[0], subject)


async def _open(store: Store, image: Image, incident: str, setting: Setting) -> _Case:
    """A new alert for an incident, still at NORMAL."""
    docket, columns = image.docket, fresh_columns(1)
    columns["alert_key"][:] = docket.next_alert_key
    columns["subject_key"][:] = docket.next_subject_key
    columns["kind"][:] = DEATH_KIND
    columns["created_micros"][:] = setting.now_micros
    await store.alerts.insert(columns)
    changes = {
        "next_alert_key": docket.next_alert_key + 1,
        "next_subject_key": docket.next_subject_key - 1,
    }
    await store.docket.change(**changes)
    board = image.board.followed_by(image.board.assets, columns)
    subject = Subject(docket.next_subject_key, incident, "", 0, "")
    return _Case(docket.with_changes(changes), board, len(board) - 1, subject)
