"""EvaluateAlerts: read positions, judge every alert, write what changed with its record and its message."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from functools import partial

import numpy as np

from services.alerts.alerts.domain.alert_columns import Board
from services.alerts.alerts.domain.change_payload import Change, Setting, alert_id, changes, worst_first
from services.alerts.alerts.domain.evaluation import Outcome, Tables, enrich, evaluate
from services.alerts.alerts.domain.readings import (
    FIGURES,
    NOTHING_HELD,
    Inputs,
    Positions,
    Single,
    figures_of,
)
from services.alerts.alerts.domain.subjects import Subject
from services.alerts.domain.kinds import AlertType, Level
from services.alerts.notifications.service.record import present, record_changes
from services.alerts.price_rules.service import Market, RuleEvent
from services.alerts.service.ports import PositionsPeer
from services.alerts.service.snapshot_cache import PYTHON_ROW_COST, Desk, Image, apart, micros_of, uncollected
from services.alerts.store.service_state import Docket, new_version
from services.alerts.store.unit_of_work import Store
from shared.database.fence import Step
from shared.errors import Unavailable
from shared.log import get_logger

_MOST_TRANSITIONS = 500


class Work(Enum):
    """How much of it: readings only; readings and levels; and telling people."""

    ENRICH = "enrich"
    PROCESS = "process"
    EVALUATE = "evaluate"


_WORKS: Mapping[Work, Callable[[Board, Tables, Inputs], Outcome]] = {
    Work.ENRICH: enrich,
    Work.PROCESS: partial(evaluate, telling=False),
    Work.EVALUATE: evaluate,
}


@dataclass(frozen=True, slots=True)
class Transition:
    """One change of level; levels and type as numbers."""

    alert_id: str
    type: int
    subject: str
    level_before: int
    level_after: int
    value: float | None
    told: bool


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What an evaluation did; the first 500 transitions, worst first."""

    evaluated_count: int
    raised_count: int
    lowered_count: int
    stale_count: int
    unknown_count: int
    transitions: Sequence[Transition]
    level_count: Mapping[str, int]
    rule_events: Sequence[RuleEvent] = ()
    # Alerts whose levels were only held: positions could not be read.
    unjudged_count: int = 0


@dataclass(frozen=True, slots=True)
class _Read:
    """What positions said; `unread`: nothing, it does not answer."""

    positions: Positions
    totals: Mapping[AlertType, Single]
    unread: bool = False


class Judging:
    """The evaluation of alerts."""

    def __init__(self, desk: Desk, positions: PositionsPeer, market: Market) -> None:
        self._desk = desk
        self._positions = positions
        self._market = market

    async def evaluate(
        self,
        step: Step,
        totals: Mapping[AlertType, Single] | None,
        prices: Mapping[str, Single],
        work: Work = Work.EVALUATE,
    ) -> Evaluated:
        """Judge by what positions says now; portfolio readings are asked for when not given.

        Without positions the rest is judged all the same: their levels hold, and the answer counts them.
        """
        last, read = self._desk.last(), None
        is_ruled = work is Work.EVALUATE and prices and (last is None or last.docket.next_rule_key > 1)
        if last is not None and not is_ruled and _newly_tracked(step, prices, last.docket) is None:
            done, read = await self._at_once(step, last, totals, prices, work)
            if done is not None:
                return done
        # Who could not be read a moment ago is not asked again.
        if read is None or not read.unread:
            read = await self._read(totals, FIGURES)
        return await self._in_full(step, read, prices, work)

    async def _at_once(
        self,
        step: Step,
        image: Image,
        totals: Mapping[AlertType, Single] | None,
        prices: Mapping[str, Single],
        work: Work,
    ) -> tuple[Evaluated | None, _Read]:
        """One statement when nothing but readings changed, by the figures that are judged; else None."""
        ground = await apart(len(image.board), image.tables.ground, image.board)
        read = await self._read(totals, figures_of(ground.seating.types))
        now = self._desk.clock.now()
        outcome = await _judge(work, image, self._inputs(read, prices, now))
        if len(outcome.changed) or outcome.started:
            return None, read
        after = _moved_on(image.docket, read.positions)
        evaluated = _evaluated(image, outcome, [], ())
        done = await self._desk.at_once.evaluate(step, evaluated, outcome.board, image.docket, after, now)
        if done is evaluated:
            self._desk.keep(after, outcome.board, image)
        return done, read

    async def _in_full(self, step: Step, read: _Read, prices: Mapping[str, Single], work: Work) -> Evaluated:
        """One transaction, with records and messages, by all figures."""
        positions, now = read.positions, self._desk.clock.now()
        inputs = self._inputs(read, prices, now)
        async with self._desk.begin() as store:
            done = await store.enter(step, Evaluated)
            if done is not None:
                return done
            image = await self._desk.image(store, await store.docket.lock())
            outcome = await _judge(work, image, inputs)
            docket = _moved_on(image.docket, positions)
            setting = Setting(step.cycle_id, docket.demo, inputs.now_micros)
            with uncollected(len(outcome.changed)):
                made = await _change(store, outcome, positions, setting)
                told = await record_changes(
                    self._desk, store, made, actor="evaluation", cycle_id=step.cycle_id, now=now
                )
            by_hand = np.union1d(outcome.changed[outcome.released], np.array(outcome.started, np.int64))
            await store.alerts.update_by_hand(outcome.board, by_hand)
            events: Sequence[RuleEvent] = ()
            if work is Work.EVALUATE and prices and docket.next_rule_key > 1:
                events = await self._market.judge(store, prices, setting, now)
                told = told or any(event.told for event in events)
            quiet = not len(outcome.changed) and not outcome.started
            if not quiet:
                docket = replace(docket, alert_version=new_version())
            elif not events:
                await store.hurry()
            tracked = _newly_tracked(step, prices, docket)
            if tracked is not None:
                docket = replace(docket, tracked_assets=tracked)
                await store.docket.change(tracked_assets=tracked)
            await store.evaluations.write(outcome.board, docket, image.docket.evaluation_version)
            evaluated = _evaluated(image, outcome, made, events)
            await store.record(step, Evaluated, evaluated, now)
        self._desk.keep(docket, outcome.board, image)
        if told:
            self._desk.told()
        return evaluated

    def _inputs(self, read: _Read, prices: Mapping[str, Single], now: datetime) -> Inputs:
        steady = self._desk.steady.micros()
        return Inputs(read.positions, read.totals, prices, micros_of(now), steady, read.unread)

    async def _read(self, totals: Mapping[AlertType, Single] | None, names: Collection[str]) -> _Read:
        try:
            if totals is not None:
                return _Read(await self._positions.figures(names), totals)
            return _Read(*await asyncio.gather(self._positions.figures(names), self._positions.totals()))
        except Unavailable as error:
            get_logger().warning("judged without positions", reason=error.reason, detail=error.message)
            return _Read(NOTHING_HELD, totals or {}, unread=True)


async def _judge(work: Work, image: Image, inputs: Inputs) -> Outcome:
    return await apart(len(image.board), _WORKS[work], image.board, image.tables, inputs)


def _newly_tracked(step: Step, prices: Mapping[str, Single], docket: Docket) -> list[str] | None:
    """The assets whose prices a cycle brings, when they are others than the last one's."""
    names = sorted(prices)
    return names if step.cycle_id and names and names != docket.tracked_assets else None


def _moved_on(docket: Docket, positions: Positions) -> Docket:
    """The docket after an evaluation that changed no level."""
    demo = docket.demo if positions.is_demo is None else positions.is_demo
    return replace(docket, evaluation_version=new_version(), demo=demo)


async def _change(store: Store, outcome: Outcome, positions: Positions, setting: Setting) -> list[Change]:
    """Write the new levels; while the database does that, describe the changes."""
    rows = outcome.changed
    if not len(rows):
        return []
    subjects = await store.subjects.read(outcome.board.subject_key[rows])
    _, made = await asyncio.gather(
        store.alerts.update(outcome.board, rows),
        apart(len(rows) * PYTHON_ROW_COST, _listed, outcome, subjects, positions, setting),
    )
    return made


def _listed(
    outcome: Outcome, subjects: Mapping[int, Subject], positions: Positions, setting: Setting
) -> list[Change]:
    return list(changes(outcome, subjects, positions, setting))


def _evaluated(
    image: Image, outcome: Outcome, made: Sequence[Change], events: Sequence[RuleEvent]
) -> Evaluated:
    raised = int(outcome.raised.sum())
    active, levels = image.tables.ground(outcome.board).active, outcome.board.level
    moved = outcome.raised | outcome.lowered
    order = worst_first(outcome)
    first = order[moved[order]][:_MOST_TRANSITIONS].tolist()
    return Evaluated(
        evaluated_count=outcome.evaluated_count,
        raised_count=raised,
        lowered_count=int(outcome.lowered.sum()),
        stale_count=outcome.stale_count,
        unknown_count=outcome.unknown_count,
        transitions=[_transition(made[place]) for place in first],
        level_count={level.name: int(np.count_nonzero(active & (levels == level))) for level in Level},
        rule_events=events,
        unjudged_count=outcome.unjudged_count,
    )


def _transition(change: Change) -> Transition:
    return Transition(
        alert_id(change.alert_key),
        change.kind // 4,
        change.name,
        change.level_before,
        change.level_after,
        present(change.value),
        change.told,
    )
