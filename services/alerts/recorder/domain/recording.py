"""What one evaluation read and what came of it: enough to judge again, bit for bit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from services.alerts.alerts.domain.alert_columns import (
    ALERT_COLUMNS,
    READING_COLUMNS,
    AlertColumns,
    Column,
    Readings,
)
from services.alerts.alerts.domain.evaluation import OF_CHANGES, RAISED_BY, Outcome
from services.alerts.alerts.domain.gathering import LedgerPlace
from services.alerts.alerts.domain.readings import Inputs
from services.alerts.alerts.domain.subjects import Subject
from services.alerts.domain.kinds import Level
from services.alerts.price_rules.domain.rules import Observation, Rule
from services.alerts.thresholds.domain import Threshold

Integers = NDArray[np.int64]
# What is kept of the last readings of alerts that stand above NORMAL.
MEMORY = ("observed_micros", "falling")
_COUNTS = ("evaluated_count", "stale_count", "unknown_count", "unjudged_count")


@dataclass(frozen=True, slots=True)
class Telling:
    """What decides which message tells of a change: where its entries went in the ledger, channels
    that alerts have of their own, how many entries were of other things.
    """

    place: LedgerPlace
    own_channels: Mapping[str, Sequence[str]]
    news_count: int = 0


@dataclass(frozen=True, slots=True)
class Judgement:
    """An evaluation as it was committed: all that it read, and its outcome.

    `columns`: the alerts before it. `most`: changes of one commit. `subjects`: of what changed.
    """

    cycle_id: str
    notifying: bool
    most: int
    demo: bool
    columns: AlertColumns
    thresholds: Sequence[Threshold]
    inputs: Inputs
    subjects: Mapping[int, Subject]
    rules: Sequence[tuple[Rule, Observation]]
    telling: Telling

    @property
    def now_micros(self) -> int:
        return self.inputs.now_micros


@dataclass(frozen=True, slots=True)
class ChangedLevels:
    """What came of it: rows that changed, their levels afterwards, whether people were told; and a
    fingerprint of all of the outcome.
    """

    rows: Integers
    level: NDArray[np.int8]
    notified: NDArray[np.bool_]
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Recording:
    """A judgement with what came of it. Readings of before are kept of the alerts of which they
    can matter; see `reduced`.
    """

    judgement: Judgement
    changes: ChangedLevels

    @property
    def notified_count(self) -> int:
        return int(np.count_nonzero(self.changes.notified))


def recorded(judgement: Judgement, outcome: Outcome) -> Recording:
    """To be kept."""
    columns = reduced(judgement.columns, outcome)
    return Recording(replace(judgement, columns=columns), changes_of(outcome))


def changes_of(outcome: Outcome) -> ChangedLevels:
    return ChangedLevels(
        outcome.changed,
        outcome.columns.level[outcome.changed],
        outcome.notified,
        fingerprint(outcome),
    )


def standing(columns: AlertColumns, changed: Integers) -> Integers:
    """Rows of which the last reading is kept in full."""
    kept = columns.level > Level.NORMAL
    kept[changed] = True
    return np.flatnonzero(kept)


def reduced(columns: AlertColumns, outcome: Outcome) -> AlertColumns:
    """The alerts with what a judgement asks of their last readings: of all whether there was one,
    of those above NORMAL and those that changed when it was and what it let fall, and what it was
    where nothing later is known. A level at NORMAL rises by what is read now, whatever was before.
    """
    last, rows = columns.readings, standing(columns, outcome.changed)
    few = bare(~np.isnan(last.value))
    for name in MEMORY:
        getattr(few, name)[rows] = getattr(last, name)[rows]
    after = outcome.columns.readings.observed_micros
    is_last = after[rows] == last.observed_micros[rows]
    is_last |= np.isin(rows, outcome.changed, assume_unique=True)
    few.value[rows[is_last]] = last.value[rows[is_last]]
    return replace(columns, readings=few, evaluated_micros=0)


def bare(known: NDArray[np.bool_]) -> Readings:
    """Readings of which only is known whether there was one: 0 stands for any value."""
    none = Readings.none(len(known))
    return replace(none, value=np.where(known, 0.0, np.nan))


def fingerprint(outcome: Outcome) -> str:
    """Equal for outcomes with the same levels of all alerts, the same changes with every number
    of theirs, and the same counts. NaN is NaN, and 0 is not -0.
    """
    columns, one = outcome.columns, outcome.columns.pick(outcome.changed)
    digest = hashlib.sha256()
    for column in (
        columns.level,
        outcome.changed,
        *(getattr(one, name) for name in ALERT_COLUMNS),
        *(getattr(one.readings, name) for name in READING_COLUMNS),
        *(getattr(outcome, name) for name in (*OF_CHANGES, *RAISED_BY)),
    ):
        digest.update(_bits(column))
    counts = [getattr(outcome, name) for name in _COUNTS]
    digest.update(json.dumps([counts, list(outcome.started), outcome.is_part]).encode())
    return digest.hexdigest()


def _bits(column: Column) -> bytes:
    """Little-endian; every NaN is the same one."""
    if column.dtype.kind == "f":
        column = np.where(np.isnan(column), np.nan, column)
    return column.astype(column.dtype.newbyteorder("<")).tobytes()
