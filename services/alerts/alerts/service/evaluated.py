"""The answer of an evaluation: counts, and the worst changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from services.alerts.alerts.domain.alert_columns import Column
from services.alerts.alerts.domain.change_payload import alert_id, changes_worst_first
from services.alerts.alerts.domain.evaluation import Outcome
from services.alerts.alerts.domain.extremes import Unseen
from services.alerts.alerts.domain.readings import Positions
from services.alerts.alerts.domain.subjects import Subject
from services.alerts.alerts.domain.views import present
from services.alerts.domain.kinds import Level, type_number
from services.alerts.price_rules.service.judging import RuleEvent

_MOST_TRANSITIONS = 500


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
    # Some that changed are not judged yet.
    is_part: bool = False
    # Of these stretches no extreme is known.
    unseen: Sequence[Unseen] = ()

    def after(self, earlier: Evaluated) -> Evaluated:
        """With the changes of earlier parts, which were the worse ones."""
        return replace(
            self,
            raised_count=earlier.raised_count + self.raised_count,
            lowered_count=earlier.lowered_count + self.lowered_count,
            transitions=[*earlier.transitions, *self.transitions][:_MOST_TRANSITIONS],
        )


def evaluated(
    active: Column,
    outcome: Outcome,
    subjects: Mapping[int, Subject],
    events: Sequence[RuleEvent],
    positions: Positions,
) -> Evaluated:
    columns = outcome.columns
    moved = outcome.raised | outcome.lowered
    order = changes_worst_first(outcome)
    first = order[moved[order]][:_MOST_TRANSITIONS].tolist()
    return Evaluated(
        evaluated_count=outcome.evaluated_count,
        raised_count=int(outcome.raised.sum()),
        lowered_count=int(outcome.lowered.sum()),
        stale_count=outcome.stale_count,
        unknown_count=outcome.unknown_count,
        transitions=[_transition(outcome, subjects, place) for place in first],
        level_count={
            level.name: int(np.count_nonzero(active & (columns.level == level))) for level in Level
        },
        rule_events=events,
        unjudged_count=outcome.unjudged_count,
        is_part=outcome.is_part,
        unseen=positions.extremes.unseen,
    )


def _transition(outcome: Outcome, subjects: Mapping[int, Subject], place: int) -> Transition:
    columns, row = outcome.columns, outcome.changed[place]
    name = subjects[int(columns.subject_key[row])].name
    return Transition(
        alert_id(int(columns.alert_key[row])),
        type_number(int(columns.kind[row])),
        name or columns.assets[columns.asset_key[row]],
        int(outcome.before[place]),
        int(columns.level[row]),
        present(float(columns.readings.value[row])),
        bool(outcome.notified[place]),
    )
