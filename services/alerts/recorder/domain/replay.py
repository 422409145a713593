"""Recordings judged again, by the functions that judged; with other thresholds over a night."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np

from services.alerts.alerts.domain.alert_columns import (
    READING_COLUMNS,
    AlertColumns,
    Column,
    Readings,
)
from services.alerts.alerts.domain.compiled_limits import CompiledLimits, ThresholdTables
from services.alerts.alerts.domain.digests import Gathered
from services.alerts.alerts.domain.evaluation import Outcome, evaluate
from services.alerts.alerts.domain.gathering import gather, ways_of
from services.alerts.alerts.domain.incidents import IS_OPPORTUNITY
from services.alerts.domain.kinds import Level
from services.alerts.price_rules.domain.rules import Event, judge_rule
from services.alerts.recorder.domain.recording import (
    ChangedLevels,
    Judgement,
    Recording,
    changes_of,
)
from services.alerts.thresholds.domain import Scope, Threshold, ThresholdSet

# What an evaluation makes of an alert; the rest people or other events do.
_JUDGED = (
    "level",
    "previous_level",
    "notified_level",
    "kept_level",
    "notified_micros",
    "incident_count",
    "trigger_count",
    "last_triggered_micros",
)


class Presence(IntEnum):
    """Where a change is found."""

    BOTH = 1
    RECORDED = 2
    REPLAYED = 3


@dataclass(frozen=True, slots=True)
class ReplayedChange:
    """One change of level, or a notice that had been kept back. `value`: what it was judged by
    when it was replayed; NaN of one that is only recorded.
    """

    row: int
    level_before: Level
    level_after: Level
    notified: bool
    value: float
    presence: Presence


@dataclass(frozen=True, slots=True)
class Again:
    """A recording judged again."""

    outcome: Outcome
    gathered: Gathered
    changes: ChangedLevels
    is_equal: bool


def judged_again(recording: Recording) -> Again:
    """By what it read and nothing else; equal when every bit of the outcome is."""
    judgement = recording.judgement
    thresholds = ThresholdSet(judgement.thresholds)
    outcome, gathered = _gathered(judgement, thresholds, _judged(judgement, thresholds))
    changes = changes_of(outcome)
    return Again(outcome, gathered, changes, changes.fingerprint == recording.changes.fingerprint)


def judged_by(
    recording: Recording, thresholds: Sequence[Threshold], before: AlertColumns | None
) -> Outcome:
    """By other thresholds; `before`: the alerts as they were left by them, None at first."""
    judgement = recording.judgement
    if before is not None:
        judgement = replace(judgement, columns=carried(judgement.columns, before))
    return _judged(judgement, ThresholdSet(thresholds))


def _judged(judgement: Judgement, thresholds: ThresholdSet) -> Outcome:
    columns, inputs = judgement.columns, judgement.inputs
    limits = CompiledLimits(ThresholdTables(*thresholds.tables(columns.assets)), columns)
    places = limits.reading_index.places(inputs.positions)
    return evaluate(
        columns, limits, places, inputs, most=judgement.most, notifying=judgement.notifying
    )


def _gathered(
    judgement: Judgement, thresholds: ThresholdSet, outcome: Outcome
) -> tuple[Outcome, Gathered]:
    telling, notified = judgement.telling, outcome.changed[outcome.notified]
    own = {id: tuple(names) for id, names in telling.own_channels.items()}
    ways = ways_of(outcome.columns, notified, thresholds, own)
    return gather(outcome, ways, judgement.inputs.positions, telling.place)


def rule_events(judgement: Judgement) -> list[Event]:
    """What prices made of the price rules."""
    guarded = judgement.inputs.guarded_micros
    return [event for rule, seen in judgement.rules for event in judge_rule(rule, seen, guarded)[1]]


def carried(columns: AlertColumns, before: AlertColumns) -> AlertColumns:
    """Alerts as recorded, at the levels and with the memory another judging left them. What people
    did meanwhile, and who came, is as recorded.
    """
    place = before.rows_of(columns.alert_key)
    rows = np.flatnonzero(place >= 0)
    known = before.pick(place[rows])
    columns = columns.with_values(rows, {name: getattr(known, name) for name in _JUDGED})
    last = columns.readings
    return replace(
        columns,
        readings=Readings(
            *(
                _put(getattr(last, name), rows, getattr(known.readings, name))
                for name in READING_COLUMNS
            )
        ),
    )


def _put(column: Column, rows: Column, values: Column) -> Column:
    found = column.copy()
    found[rows] = values
    return found


def with_thresholds(judgement: Judgement, others: Sequence[Threshold]) -> Sequence[Threshold]:
    """Those in force, the others in the place of theirs or beside them."""
    by_scope: dict[Scope, Threshold] = {one.scope: one for one in judgement.thresholds}
    known = ThresholdSet(judgement.thresholds)
    for other in others:
        scope = known.as_spelled(other.scope, judgement.columns.assets)
        other, same = replace(other, scope=scope), by_scope.get(scope)
        if same is not None:
            other = replace(
                other,
                low_channels=same.low_channels,
                medium_channels=same.medium_channels,
                high_channels=same.high_channels,
            )
        by_scope[other.scope] = other
    return list(by_scope.values())


def compared(recording: Recording, outcome: Outcome) -> Iterator[ReplayedChange]:
    """Changes of both, in order of the alerts: the same level and the same telling is one of BOTH.
    Before and after of one that is only recorded are as recorded.
    """
    recorded, columns = recording.changes, recording.judgement.columns
    there = {
        row: (level, told)
        for row, level, told in zip(
            recorded.rows.tolist(),
            recorded.level.tolist(),
            recorded.notified.tolist(),
            strict=True,
        )
    }
    found = {
        row: (level, told, before, value)
        for row, level, told, before, value in zip(
            outcome.changed.tolist(),
            outcome.columns.level[outcome.changed].tolist(),
            outcome.notified.tolist(),
            outcome.before.tolist(),
            outcome.columns.readings.value[outcome.changed].tolist(),
            strict=True,
        )
    }
    for row in sorted({*there, *found}):
        mine, theirs = found.get(row), there.get(row)
        if mine is not None:
            is_both = theirs is not None and theirs == mine[:2]
            presence = Presence.BOTH if is_both else Presence.REPLAYED
            yield _change(row, mine[2], mine[0], mine[1], mine[3], presence)
        if theirs is not None and (mine is None or theirs != mine[:2]):
            before = int(columns.level[row])
            yield _change(row, before, theirs[0], theirs[1], math.nan, Presence.RECORDED)


def _change(
    row: int, before: int, after: int, told: bool, value: float, presence: Presence
) -> ReplayedChange:
    return ReplayedChange(row, Level(before), Level(after), told, value, presence)


def told_counts(columns: AlertColumns, changes: ChangedLevels) -> Mapping[Level, int]:
    """How often people were told of a danger that rose or stands, by its level."""
    danger = ~IS_OPPORTUNITY[columns.kind[changes.rows]]
    told = changes.level[changes.notified & danger]
    return {level: int(np.count_nonzero(told == level)) for level in Level if level > Level.NORMAL}
