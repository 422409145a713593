"""Changes of level as entries of the ledger and rows of the outbox. Writes nothing itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

import numpy as np

from services.alerts.alerts.domain.alert_columns import Column
from services.alerts.alerts.domain.change_inputs import packed_inputs
from services.alerts.alerts.domain.change_payload import ChangeContext
from services.alerts.alerts.domain.evaluation import Outcome
from services.alerts.alerts.domain.readings import Positions
from services.alerts.alerts.domain.subjects import Subject
from services.alerts.domain.kinds import type_number
from services.alerts.ledger.domain.chain import Entry

# RAISED, LOWERED or SWITCHED_OFF by the level; at the same level a hold ran out, or what was kept
# back is notified.
_REASONS = np.array(["RAISED", "SWITCHED_OFF", "LOWERED", "EXPIRED", "TOLD"], object)


def entries_of(
    outcome: Outcome,
    subjects: Mapping[int, Subject],
    positions: Positions,
    context: ChangeContext,
    actor: str,
    now: datetime,
) -> Iterator[Entry]:
    """One for each changed row, in order of the alerts; `now` is the moment of the context."""
    assets, one, cycle_id = (
        outcome.columns.assets,
        outcome.columns.pick(outcome.changed),
        context.cycle_id,
    )
    lists = (
        one.alert_key,
        type_number(one.kind),
        _reasons(outcome, one.level),
        outcome.before,
        one.level,
        _or_none(one.readings.value),
        _or_none(outcome.flip_value),
        one.subject_key,
        one.asset_key,
    )
    inputs = packed_inputs(outcome, subjects, positions, context)
    for key, kind, reason, before, after, value, flip_value, subject, asset, packed in zip(
        *(column.tolist() for column in lists), inputs, strict=True
    ):
        yield Entry(
            now, f"alert-{key}", kind, actor, reason, before, after, value, flip_value, "",
            cycle_id, subjects[subject].name or assets[asset], packed,
        )  # fmt: skip


def _reasons(outcome: Outcome, level: Column) -> Column:
    rises, falls = level > outcome.before, level < outcome.before
    chosen = np.select([rises, falls & outcome.off, falls, outcome.expired], [0, 1, 2, 3], 4)
    reasons: Column = _REASONS[chosen]
    return reasons


def _or_none(values: Column) -> Column:
    """Absent numbers as None."""
    numbers: Column = values.astype(object)
    numbers[np.isnan(values)] = None
    return numbers
