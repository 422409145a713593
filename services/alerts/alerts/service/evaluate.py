"""EvaluateAlerts: positions read once, every alert judged once, what changed written."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from functools import partial

import numpy as np

from services.alerts.alerts.domain.alert_columns import AlertColumns, no_rows
from services.alerts.alerts.domain.change_payload import ChangeContext
from services.alerts.alerts.domain.digests import Gathered
from services.alerts.alerts.domain.evaluation import Outcome, enrich, evaluate
from services.alerts.alerts.domain.extremes import Extremes
from services.alerts.alerts.domain.incidents import fresh_only_until
from services.alerts.alerts.domain.readings import NOTHING_HELD, Inputs, Positions, Reading
from services.alerts.alerts.domain.subjects import Subject
from services.alerts.alerts.service.evaluated import Evaluated, evaluated
from services.alerts.domain.kinds import AlertType, Level
from services.alerts.ledger.domain.chain import Entry
from services.alerts.notifications.service.entries import entries_of
from services.alerts.notifications.service.gathering import Gathering, digest_entries
from services.alerts.position_events.domain import EventEntries
from services.alerts.position_events.service import (
    NO_EVENTS,
    PositionNews,
    UntoldEvents,
    told_until,
)
from services.alerts.price_rules.service.judging import NO_RULES, JudgedRules, judge_rules
from services.alerts.recorder.domain.recording import Judgement, Telling
from services.alerts.recorder.service.recorder import Recorder
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

# Changes of level of one commit: a second or two of work.
_PART_ROWS = 100_000
# A look comes before the evaluation that judges it, by this at most as a rule.
_LOOK_MICROS = 30_000_000


class Work(Enum):
    """How much of it: readings only; readings and levels; and notifying people."""

    ENRICH = "enrich"
    PROCESS = "process"
    EVALUATE = "evaluate"


def _outcome(
    work: Work, cache: SnapshotCache, snapshot: Snapshot, inputs: Inputs, most: int
) -> Outcome:
    columns, limits = snapshot.columns, cache.compiled_limits(snapshot)
    places = cache.places(limits, inputs.positions)
    if work is Work.ENRICH:
        return enrich(columns, limits, places, inputs)
    is_told = work is Work.EVALUATE
    return evaluate(columns, limits, places, inputs, most=most, notifying=is_told)


@dataclass(frozen=True, slots=True)
class _Request:
    """What is judged, with what positions said; `unread`: nothing, it does not answer."""

    step: Step
    work: Work
    prices: Mapping[str, Reading]
    positions: Positions
    totals: Mapping[AlertType, Reading]
    unread: bool = False
    untold: UntoldEvents = NO_EVENTS

    def inputs(self, now_micros: int, guarded_micros: int, state: ServiceState) -> Inputs:
        """With the moment they are judged at, and what a restore left to be waited for."""
        return Inputs(
            self.positions,
            self.totals,
            self.prices,
            now_micros,
            guarded_micros,
            self.unread,
            # The evaluation that ends the wait tells nothing of it: where cycles are rare it is the
            # second, and a position closed by then has its alerts until they are cleared.
            state.fresh_only_until_micros != 0,
        )


@dataclass(frozen=True, slots=True)
class _Read:
    """What was read beside the inputs: to be recorded."""

    most: int
    demo: bool
    subjects: Mapping[int, Subject]
    rules: JudgedRules
    gathered: Gathered
    news_count: int


class EvaluateAlerts:
    """The evaluation of alerts."""

    def __init__(
        self,
        cache: SnapshotCache,
        commits: Commits,
        positions: PositionsPeer,
        gathering: Gathering,
        news: PositionNews,
        recorder: Recorder,
    ) -> None:
        self._news = news
        self._recorder = recorder
        self._cache = cache
        self._commits = commits
        self._positions = positions
        self._gathering = gathering
        self._part = PartSize(_PART_ROWS)
        # The moment of this process' last evaluation, and until when its extremes reached.
        self._looked = (0, 0)

    async def evaluate(
        self,
        step: Step,
        totals: Mapping[AlertType, Reading] | None,
        prices: Mapping[str, Reading],
        work: Work = Work.EVALUATE,
        end_seconds: float = math.inf,
    ) -> Evaluated:
        """Judge by what positions says now; its portfolio readings count when none are given.

        Many changes are committed in parts, see `Commits.step`.

        Without positions the rest is judged all the same: their levels hold, and the answer counts
        them.
        """
        since_micros = await self._extremes_since()
        try:
            positions, read_totals = await self._positions.readings(since_micros)
            given = read_totals if totals is None else totals
            untold = await self._news.untold(positions)
            request = _Request(step, work, prices, positions, given, untold=untold)
        except Unavailable as error:
            get_logger().warning(
                "judged without positions", reason=error.reason, detail=error.message
            )
            request = _Request(step, work, prices, NOTHING_HELD, totals or {}, unread=True)
        with self._part.tried():
            done = await self._commits.step(step, partial(self._decide, request), end_seconds)
        if work is not Work.ENRICH and not done.is_part:
            self._extremes_judged(request.positions.extremes, since_micros)
        return done

    async def _extremes_since(self) -> int:
        """Where the extremes begin that no evaluation saw: at the last one's end of looking, or,
        when another process made that, before its moment; 0 before the first. Never in the future:
        a clock that was ahead must not hide what comes.
        """
        snapshot = self._cache.last() or await self._cache.present()
        evaluated_micros = snapshot.columns.evaluated_micros
        known_micros, until_micros = self._looked
        if evaluated_micros != known_micros:
            until_micros = max(evaluated_micros - _LOOK_MICROS, 0)
        return min(until_micros, micros_of(self._cache.clock.now()))

    def _extremes_judged(self, extremes: Extremes, since_micros: int) -> None:
        """After its commit. What was not looked at is asked for again. An answer of the record
        judged nothing. A replica of positions that looked earlier takes nothing judged back.
        """
        snapshot = self._cache.last()
        if snapshot is None or snapshot.columns.evaluated_micros == self._looked[0]:
            return
        until_micros = max(extremes.until_micros, since_micros)
        evaluated_micros = snapshot.columns.evaluated_micros
        self._looked = evaluated_micros, until_micros or evaluated_micros

    async def _decide(
        self, request: _Request, snapshot: Snapshot, store: Store | None
    ) -> Decision[Evaluated]:
        now, columns = self._cache.clock.now(), snapshot.columns
        guarded_micros = self._cache.clock_guard.micros()
        inputs = request.inputs(micros_of(now), guarded_micros, snapshot.service_state)
        work, most = request.work, self._part.rows
        outcome = await offload(len(columns), _outcome, work, self._cache, snapshot, inputs, most)
        after = _state_after(snapshot.service_state, request, outcome, guarded_micros)
        context = ChangeContext(request.step.cycle_id, after.demo, inputs.now_micros)
        is_part = outcome.is_part  # The levels alone: readings and price rules come with the last.
        is_told = work is Work.EVALUATE and not is_part
        rules, news, gathered = NO_RULES, EventEntries(), Gathered()
        if is_told and request.untold is not NO_EVENTS:
            news = self._news.entries(request.untold, snapshot.service_state, context, now)
            after = _news_told(after, request, snapshot.service_state)
        subjects: Mapping[int, Subject] = {}
        has_rules = is_told and request.prices and after.next_rule_key > 1
        if len(outcome.changed) or has_rules:
            async with self._commits.reading(store) as reading:
                subjects = await _subjects(reading, outcome)
                if has_rules:
                    rules = await judge_rules(
                        reading, request.prices, inputs.now_micros, guarded_micros
                    )
                more = len(rules.seen) + len(news.entries)
                gather = self._gathering.gather
                outcome, gathered = await gather(reading, snapshot, outcome, inputs.positions, more)
        recorded = _Read(most, after.demo, subjects, rules, gathered, len(news.entries))
        released = outcome.changed[outcome.released]
        active = self._cache.compiled_limits(snapshot).active
        return Decision(
            answer=evaluated(active, outcome, subjects, rules.seen, request.positions),
            service_state=after,
            columns=_unread(outcome.columns, columns) if is_part else outcome.columns,
            levels=outcome.changed,
            settings=np.union1d(released, np.array(outcome.started, np.int64)),
            readings=not is_part,
            entries=_noticed_entries(
                outcome,
                rules,
                news,
                gathered,
                partial(_entries, request, outcome, subjects, rules, news, gathered, context, now),
            ),
            also=rules.write if rules.are_moved else None,
            is_also_lasting=False,
            is_part=is_part,
            committed=partial(self._record, request, snapshot, inputs, outcome, recorded),
        )

    def _record(
        self,
        request: _Request,
        snapshot: Snapshot,
        inputs: Inputs,
        outcome: Outcome,
        read: _Read,
    ) -> None:
        """What was committed is kept, to be replayed; readings alone judge nothing."""
        if request.work is Work.ENRICH:
            return
        rules, news_count = read.rules, read.news_count
        place = self._gathering.place(snapshot, outcome, len(rules.seen) + news_count)
        judgement = Judgement(
            cycle_id=request.step.cycle_id,
            notifying=request.work is Work.EVALUATE,
            most=read.most,
            demo=read.demo,
            columns=snapshot.columns,
            thresholds=snapshot.thresholds.rows,
            inputs=inputs,
            subjects=read.subjects,
            rules=rules.observed,
            telling=Telling(place, read.gathered.own_channels, news_count),
        )
        self._recorder.take(judgement, outcome)


def _news_told(after: ServiceState, request: _Request, before: ServiceState) -> ServiceState:
    return replace(after, event_sequence=told_until(request.untold, before))


async def _subjects(reading: Store, outcome: Outcome) -> Mapping[int, Subject]:
    return await reading.subjects.read(outcome.columns.subject_key[outcome.changed])


def _unread(after: AlertColumns, before: AlertColumns) -> AlertColumns:
    """With the readings of before, by which the rest is judged."""
    return replace(
        after,
        readings=before.readings,
        evaluated_micros=before.evaluated_micros,
        estimates=before.estimates,
        starting_value=before.starting_value,
    )


def _state_after(
    before: ServiceState, request: _Request, outcome: Outcome, guarded_micros: int
) -> ServiceState:
    demo = before.demo if request.positions.is_demo is None else request.positions.is_demo
    if outcome.is_part:
        return replace(before, alert_version=new_version(), demo=demo)
    after = replace(before, evaluation_version=new_version(), demo=demo)
    if len(outcome.changed) or outcome.started:
        after = replace(after, alert_version=new_version())
    if request.work is Work.EVALUATE and before.fresh_only_until_micros:
        until_micros = fresh_only_until(before.fresh_only_until_micros, guarded_micros)
        after = replace(after, fresh_only_until_micros=until_micros)
    names = sorted(request.prices)
    # What a cycle brings prices of is what can be asked for.
    return replace(after, tracked_assets=names) if request.step.cycle_id and names else after


def _entries(
    request: _Request,
    outcome: Outcome,
    subjects: Mapping[int, Subject],
    rules: JudgedRules,
    news: EventEntries,
    gathered: Gathered,
    context: ChangeContext,
    now: datetime,
) -> Iterator[Entry]:
    made = partial(
        entries_of,
        subjects=subjects,
        positions=request.positions,
        context=context,
        actor="evaluation",
        now=now,
    )
    yield from made(outcome)
    yield from rules.entries(context, now)
    yield from news.entries
    yield from digest_entries(gathered.digests, outcome, made)


def _noticed_entries(
    outcome: Outcome,
    rules: JudgedRules,
    news: EventEntries,
    gathered: Gathered,
    entries: Callable[[], Iterable[Entry]],
) -> Entries:
    """Changes first, then events of price rules, then news, then digests; in the order of
    `_entries`.
    """
    count = len(outcome.changed)
    events = [
        (count + place, event.level_after, event.ends_high)
        for place, event in enumerate(rules.seen)
        if event.notified or event.ends_high
    ]
    first = count + len(rules.seen)
    events += [
        (first + place, int(Level.MEDIUM if place in news.serious_places else Level.LOW), False)
        for place in news.told_places
    ]
    events += [(first + place, int(Level.HIGH), False) for place in news.urgent_places]
    places, levels, noted = (
        (np.array(column, np.int64) for column in zip(*events, strict=True))
        if events
        else (no_rows(), no_rows(), no_rows())
    )
    told = replace(
        gathered,
        place=np.concatenate([gathered.place, places]),
        level=np.concatenate([gathered.level, np.maximum(levels, Level.LOW)]),
        noted=np.concatenate([gathered.noted, noted.astype(bool)]),
    )
    return Entries.gathered(first + len(news.entries), entries, told)
