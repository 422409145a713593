"""EvaluateAlerts: read positions, judge every alert, write what changed with its record and its
message.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from functools import partial

import numpy as np

from services.alerts.alerts.domain.alert_columns import AlertColumns
from services.alerts.alerts.domain.change_payload import (
    Change,
    ChangeContext,
    alert_id,
    changes,
    changes_worst_first,
)
from services.alerts.alerts.domain.evaluation import Outcome, ThresholdTables, enrich, evaluate
from services.alerts.alerts.domain.readings import (
    FIGURES,
    NOTHING_HELD,
    Inputs,
    Positions,
    Reading,
    figures_of,
)
from services.alerts.alerts.domain.subjects import Subject
from services.alerts.domain.kinds import AlertType, Level
from services.alerts.notifications.service.record import known_or_none, record_changes
from services.alerts.price_rules.service import PriceRules, RuleEvent
from services.alerts.service.ports import PositionsPeer
from services.alerts.service.snapshot_cache import (
    PYTHON_ROW_COST,
    Snapshot,
    SnapshotCache,
    micros_of,
    offload,
    without_collector,
)
from services.alerts.store.service_state import ServiceState, new_version
from services.alerts.store.unit_of_work import Store
from shared.database.fence import Step
from shared.errors import Unavailable
from shared.log import get_logger

_MOST_TRANSITIONS = 500


class Work(Enum):
    """How much of it: readings only; readings and levels; and notifying people."""

    ENRICH = "enrich"
    PROCESS = "process"
    EVALUATE = "evaluate"


_WORKS: Mapping[Work, Callable[[AlertColumns, ThresholdTables, Inputs], Outcome]] = {
    Work.ENRICH: enrich,
    Work.PROCESS: partial(evaluate, notifying=False),
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
    notified: bool


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
    totals: Mapping[AlertType, Reading]
    unread: bool = False


class EvaluateAlerts:
    """The evaluation of alerts."""

    def __init__(self, cache: SnapshotCache, positions: PositionsPeer, market: PriceRules) -> None:
        self._cache = cache
        self._positions = positions
        self._market = market

    async def evaluate(
        self,
        step: Step,
        totals: Mapping[AlertType, Reading] | None,
        prices: Mapping[str, Reading],
        work: Work = Work.EVALUATE,
    ) -> Evaluated:
        """Judge by what positions says now; portfolio readings are asked for when not given.

        Without positions the rest is judged all the same: their levels hold, and the answer counts
        them.
        """
        last, read = self._cache.last(), None
        is_ruled = (
            work is Work.EVALUATE
            and prices
            and (last is None or last.service_state.next_rule_key > 1)
        )
        if (
            last is not None
            and not is_ruled
            and _newly_tracked(step, prices, last.service_state) is None
        ):
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
        snapshot: Snapshot,
        totals: Mapping[AlertType, Reading] | None,
        prices: Mapping[str, Reading],
        work: Work,
    ) -> tuple[Evaluated | None, _Read]:
        """One statement when nothing but readings changed, by the figures that are judged; else
        None.
        """
        compiled_limits = await offload(
            len(snapshot.alert_columns), snapshot.tables.compiled_limits, snapshot.alert_columns
        )
        read = await self._read(totals, figures_of(compiled_limits.reading_index.types))
        now = self._cache.clock.now()
        outcome = await _judge(work, snapshot, self._inputs(read, prices, now))
        if len(outcome.changed) or outcome.started:
            return None, read
        after = _moved_on(snapshot.service_state, read.positions)
        evaluated = _evaluated(snapshot, outcome, [], ())
        done = await self._cache.single_statement.evaluate(
            step, evaluated, outcome.alert_columns, snapshot.service_state, after, now
        )
        if done is evaluated:
            self._cache.keep(after, outcome.alert_columns, snapshot)
        return done, read

    async def _in_full(
        self, step: Step, read: _Read, prices: Mapping[str, Reading], work: Work
    ) -> Evaluated:
        """One transaction, with records and messages, by all figures."""
        positions, now = read.positions, self._cache.clock.now()
        inputs = self._inputs(read, prices, now)
        async with self._cache.begin() as store:
            done = await store.enter(step, Evaluated)
            if done is not None:
                return done
            snapshot = await self._cache.snapshot(store, await store.service_state.lock())
            outcome = await _judge(work, snapshot, inputs)
            service_state = _moved_on(snapshot.service_state, positions)
            context = ChangeContext(step.cycle_id, service_state.demo, inputs.now_micros)
            with without_collector(len(outcome.changed)):
                made = await _change(store, outcome, positions, context)
                notified = await record_changes(
                    self._cache, store, made, actor="evaluation", cycle_id=step.cycle_id, now=now
                )
            by_hand = np.union1d(
                outcome.changed[outcome.released], np.array(outcome.started, np.int64)
            )
            await store.alerts.update_by_hand(outcome.alert_columns, by_hand)
            events: Sequence[RuleEvent] = ()
            if work is Work.EVALUATE and prices and service_state.next_rule_key > 1:
                events = await self._market.judge(store, prices, context, now)
                notified = notified or any(event.notified for event in events)
            quiet = not len(outcome.changed) and not outcome.started
            if not quiet:
                service_state = replace(service_state, alert_version=new_version())
            elif not events:
                await store.hurry()
            tracked = _newly_tracked(step, prices, service_state)
            if tracked is not None:
                service_state = replace(service_state, tracked_assets=tracked)
                await store.service_state.change(tracked_assets=tracked)
            await store.evaluations.write(
                outcome.alert_columns, service_state, snapshot.service_state.evaluation_version
            )
            evaluated = _evaluated(snapshot, outcome, made, events)
            await store.record(step, Evaluated, evaluated, now)
        self._cache.keep(service_state, outcome.alert_columns, snapshot)
        if notified:
            self._cache.outbox_filled()
        return evaluated

    def _inputs(self, read: _Read, prices: Mapping[str, Reading], now: datetime) -> Inputs:
        clock_guard = self._cache.clock_guard.micros()
        return Inputs(read.positions, read.totals, prices, micros_of(now), clock_guard, read.unread)

    async def _read(
        self, totals: Mapping[AlertType, Reading] | None, names: Collection[str]
    ) -> _Read:
        try:
            if totals is not None:
                return _Read(await self._positions.figures(names), totals)
            return _Read(
                *await asyncio.gather(self._positions.figures(names), self._positions.totals())
            )
        except Unavailable as error:
            get_logger().warning(
                "judged without positions", reason=error.reason, detail=error.message
            )
            return _Read(NOTHING_HELD, totals or {}, unread=True)


async def _judge(work: Work, snapshot: Snapshot, inputs: Inputs) -> Outcome:
    return await offload(
        len(snapshot.alert_columns), _WORKS[work], snapshot.alert_columns, snapshot.tables, inputs
    )


def _newly_tracked(
    step: Step, prices: Mapping[str, Reading], service_state: ServiceState
) -> list[str] | None:
    """The assets whose prices a cycle brings, when they are others than the last one's."""
    names = sorted(prices)
    return names if step.cycle_id and names and names != service_state.tracked_assets else None


def _moved_on(service_state: ServiceState, positions: Positions) -> ServiceState:
    """The service state after an evaluation that changed no level."""
    demo = service_state.demo if positions.is_demo is None else positions.is_demo
    return replace(service_state, evaluation_version=new_version(), demo=demo)


async def _change(
    store: Store, outcome: Outcome, positions: Positions, context: ChangeContext
) -> list[Change]:
    """Write the new levels; while the database does that, describe the changes."""
    rows = outcome.changed
    if not len(rows):
        return []
    subjects = await store.subjects.read(outcome.alert_columns.subject_key[rows])
    _, made = await asyncio.gather(
        store.alerts.update(outcome.alert_columns, rows),
        offload(len(rows) * PYTHON_ROW_COST, _listed, outcome, subjects, positions, context),
    )
    return made


def _listed(
    outcome: Outcome, subjects: Mapping[int, Subject], positions: Positions, context: ChangeContext
) -> list[Change]:
    return list(changes(outcome, subjects, positions, context))


def _evaluated(
    snapshot: Snapshot, outcome: Outcome, made: Sequence[Change], events: Sequence[RuleEvent]
) -> Evaluated:
    raised = int(outcome.raised.sum())
    active, levels = (
        snapshot.tables.compiled_limits(outcome.alert_columns).active,
        outcome.alert_columns.level,
    )
    moved = outcome.raised | outcome.lowered
    order = changes_worst_first(outcome)
    first = order[moved[order]][:_MOST_TRANSITIONS].tolist()
    return Evaluated(
        evaluated_count=outcome.evaluated_count,
        raised_count=raised,
        lowered_count=int(outcome.lowered.sum()),
        stale_count=outcome.stale_count,
        unknown_count=outcome.unknown_count,
        transitions=[_transition(made[place]) for place in first],
        level_count={
            level.name: int(np.count_nonzero(active & (levels == level))) for level in Level
        },
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
        known_or_none(change.value),
        change.notified,
    )
