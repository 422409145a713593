"""One evaluation of all alerts: which levels change, what of it is notified."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from services.alerts.alerts.domain.alert_columns import (
    JUDGED_BIT,
    AlertColumns,
    Readings,
)
from services.alerts.alerts.domain.alignment import (
    AlignedReadings,
    Order,
    PositionPlaces,
    align,
    kept,
    ordered,
    unstarted,
)
from services.alerts.alerts.domain.compiled_limits import CompiledLimits, ThresholdTables
from services.alerts.alerts.domain.estimates import estimated_values, estimates
from services.alerts.alerts.domain.extremes import Limits, Touches, joined, touched_values, touches
from services.alerts.alerts.domain.incidents import AppliedLevels, apply_levels, due, expiry
from services.alerts.alerts.domain.readings import READ_FROM_POSITIONS, Inputs, Positions
from services.alerts.domain.kinds import (
    TIME_KIND,
    TIME_STANDS_SECONDS,
    AlertType,
    Level,
    ReadingState,
    condition_number,
)
from services.alerts.domain.levels import (
    ReadingColumns,
    doubt_matters,
    flips,
    judge_levels,
    signs,
)

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Truths = NDArray[np.bool_]

Levels = NDArray[np.int8]
# Alerts judged; of them with a stale, with an absent reading; alerts that were not, as nobody could
# be asked.
Counts = tuple[int, int, int, int]

_NO_LEVELS, _NO_TRUTHS = np.empty(0, np.int8), np.empty(0, bool)


# Columns of an outcome, a row each change, beside `changed` and those of RAISED_BY.
OF_CHANGES = (
    "before",
    "notified",
    "expired",
    "released",
    "ended_quietly",
    "off",
    "limits",
    "flip_value",
    "position_row",
)
# What raised a change that the mark did not; empty where nothing was looked for.
RAISED_BY = ("touched_value", "estimated_value")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The alerts after an evaluation. `changed` are rows to record, the rest is about those rows:
    the level changed, or it is notified only now, or a hold of it ran out.
    """

    columns: AlertColumns
    changed: Integers
    before: Levels
    notified: Truths
    expired: Truths
    released: Truths
    ended_quietly: Truths
    # Switched off: by a person, or with its threshold.
    off: Truths
    limits: Floats
    flip_value: Floats
    position_row: Integers
    evaluated_count: int
    stale_count: int
    unknown_count: int
    unjudged_count: int
    # Price changes that got their start.
    started: Sequence[int] = ()
    # More changed than was asked for: the rest stands at its level as if it was not judged yet.
    is_part: bool = False
    # What the extreme that raised a change was at; NaN: the mark did. Empty: no extremes.
    touched_value: Floats = field(default_factory=partial(np.empty, 0))
    # What the estimate that raised a change was, while its mark stands still; NaN: it did not.
    estimated_value: Floats = field(default_factory=partial(np.empty, 0))

    def pick(self, places: Integers) -> Outcome:
        """These changes alone."""
        own = {name: getattr(self, name)[places] for name in ("changed", *OF_CHANGES)}
        for name in RAISED_BY:
            if len(getattr(self, name)):
                own[name] = getattr(self, name)[places]
        return replace(self, **own)

    @property
    def raised(self) -> Truths:
        return self.columns.level[self.changed] > self.before

    @property
    def lowered(self) -> Truths:
        return self.columns.level[self.changed] < self.before


def evaluate(
    columns: AlertColumns,
    compiled_limits: CompiledLimits,
    places: PositionPlaces,
    inputs: Inputs,
    *,
    most: int | None = None,
    notifying: bool = True,
) -> Outcome:
    """Judge every active alert by what is known now; not `notifying`: what is due waits.

    Of more than `most` changes the worst: judged again, with the readings of before, the rest is
    found.
    """
    starts = unstarted(columns, inputs, compiled_limits.reading_index)
    if starts:
        rows = np.array(list(starts))
        columns = columns.with_values(rows, {"starting_value": list(starts.values())})
    aligned = align(columns, inputs, compiled_limits.reading_index, places)
    order = ordered(columns.readings, aligned, inputs.now_micros)
    (estimated, touched), level, falling = _levels(
        columns, aligned, order, compiled_limits, places, inputs
    )
    level = _switched_off(level, compiled_limits)
    # What is older than a reading known already may raise, and else says nothing.
    past = order.older & (level <= columns.level)
    readings = kept(columns, aligned, falling, past)
    after = _seen(columns, readings, inputs)
    active, moment = compiled_limits.active, inputs.guarded_micros
    waiting = due(after, level, active & notifying, moment, fresh_only=inputs.fresh_only)
    rows = np.flatnonzero((level != columns.level) | waiting)
    is_part = most is not None and len(rows) > most
    if is_part:
        rows = np.sort(rows[np.argsort(-level[rows], kind="stable")[:most]])
    applied = apply_levels(after, rows, level[rows], active[rows], moment, notifying=notifying)
    counts = _counts(columns, compiled_limits, places, aligned, inputs)
    outcome = _outcome(applied, compiled_limits.tables, inputs.positions, counts)
    return replace(
        outcome,
        started=() if is_part else list(starts),
        is_part=is_part,
        touched_value=touched.value_of(outcome.changed),
        estimated_value=estimated.value_of(outcome.changed),
    )


def _switched_off(level: Levels, compiled_limits: CompiledLimits) -> Levels:
    """Who switched it off knows of it. Switched on again it is judged anew, and notified."""
    off = ~compiled_limits.active & (level > Level.NORMAL)
    return np.where(off, np.int8(Level.NORMAL), level) if off.any() else level


def _seen(columns: AlertColumns, readings: Readings, inputs: Inputs) -> AlertColumns:
    positions = inputs.positions
    kept = estimates(positions.position_key, positions.frozen, positions.figures)
    return replace(columns, readings=readings, evaluated_micros=inputs.now_micros, estimates=kept)


def _judged(
    columns: AlertColumns, aligned: AlignedReadings, order: Order, compiled_limits: CompiledLimits
) -> tuple[Levels, Levels]:
    """The levels, and what is remembered of their falling. A row at NORMAL that reaches no limit
    stays so.

    Where a level would be lower by an observation judged before, the reading is marked STALE: it
    held it.
    """
    level, falling = columns.level, np.zeros(len(columns), np.int8)
    _hold_doubtful(columns, aligned, compiled_limits)
    reached = aligned.value * compiled_limits.sign >= compiled_limits.nearest
    rows = np.flatnonzero(compiled_limits.judged & (reached | (level > Level.NORMAL)))
    if len(rows):
        now, last, present = aligned.pick(rows), columns.readings.pick(rows), order.pick(rows)
        reading = ReadingColumns(now.value, now.state == ReadingState.FRESH, present.new)
        judged = judge_levels(
            level[rows],
            last.falling_level,
            reading,
            compiled_limits.tables.limits_of(columns, rows),
            compiled_limits.sign[rows].astype(np.float64),
        )
        stays = np.isnan(now.value) | (present.older & (judged.level <= level[rows]))
        was_judged = ~stays | last.judged
        level = level.copy()
        level[rows] = judged.level
        falling[rows] = judged.falling | np.where(was_judged, JUDGED_BIT, 0)
        aligned.state[rows[judged.held]] = ReadingState.STALE
    return level, falling


def _hold_doubtful(
    columns: AlertColumns, aligned: AlignedReadings, compiled_limits: CompiledLimits
) -> None:
    """What rests on something doubtful is old where that could change what is judged of it."""
    if not aligned.worst:
        return
    rows = np.array(list(aligned.worst))
    matters = doubt_matters(
        aligned.value[rows],
        np.array(list(aligned.worst.values()), np.float64),
        columns.level[rows],
        compiled_limits.tables.limits_of(columns, rows),
        compiled_limits.sign[rows].astype(np.float64),
    )
    aligned.state[rows[matters]] = ReadingState.STALE


def _levels(
    columns: AlertColumns,
    aligned: AlignedReadings,
    order: Order,
    compiled_limits: CompiledLimits,
    places: PositionPlaces,
    inputs: Inputs,
) -> tuple[tuple[Touches, Touches], Levels, Levels]:
    """By the readings, then by the market price where a mark stands still, then by the extremes:
    both only raise. What each of the two raised, the levels, and what is remembered.
    """
    level, falling = _judged(columns, aligned, order, compiled_limits)
    positions = inputs.positions
    estimated = _touches(
        lambda kind: estimated_values(kind, positions.frozen, positions.figures),
        (columns, level, compiled_limits, places),
        # It is of now, whether or not there was a reading before.
        is_present=True,
    )
    level, falling = estimated.raised(level, falling)
    touched = _touches(
        lambda kind: touched_values(kind, positions.extremes, positions.figures),
        (columns, level, compiled_limits, places),
        is_present=False,
    )
    return (estimated, touched), *touched.raised(level, falling)


def _touches(
    values_of: Callable[[AlertType], Floats | None],
    judged: tuple[AlertColumns, Levels, CompiledLimits, PositionPlaces],
    *,
    is_present: bool,
) -> Touches:
    columns, level, compiled_limits, places = judged
    found = []
    for entry in places.entries:
        values = values_of(entry.type)
        if values is None:
            continue
        rows, now = entry.rows, np.maximum(level[entry.rows], columns.level[entry.rows])
        limits = Limits(
            compiled_limits.judged[rows],
            compiled_limits.sign[rows],
            compiled_limits.nearest[rows],
            partial(compiled_limits.tables.limits_of, columns),
        )
        known = ~np.isnan(columns.readings.value[rows]) | is_present
        numbers = np.arange(rows.start, rows.stop) if isinstance(rows, slice) else rows
        found.append(touches(numbers, values[entry.position_rows], now, known, limits))
    return joined(found)


def expire(
    columns: AlertColumns, tables: ThresholdTables, positions: Positions, now_micros: int
) -> Outcome:
    """End the holds whose time has come, without any judgement."""
    return reapply_levels(
        columns, tables, positions, np.flatnonzero(expiry(columns, now_micros)), now_micros
    )


def reapply_levels(
    columns: AlertColumns,
    tables: ThresholdTables,
    positions: Positions,
    rows: Integers,
    now_micros: int,
    *,
    notifying: bool = True,
) -> Outcome:
    """Settle these rows at the level they have: what was kept quiet is notified."""
    active = tables.active(columns.pick(rows))
    applied = apply_levels(
        columns, rows, columns.level[rows], active, now_micros, notifying=notifying
    )
    return _outcome(applied, tables, positions, (0, 0, 0, 0))


def enrich(
    columns: AlertColumns, compiled_limits: CompiledLimits, places: PositionPlaces, inputs: Inputs
) -> Outcome:
    """Other readings, the same levels."""
    aligned = align(columns, inputs, compiled_limits.reading_index, places)
    order = ordered(columns.readings, aligned, inputs.now_micros)
    _judged(columns, aligned, order, compiled_limits)
    last = columns.readings
    falling = np.where(order.new, last.falling_level, last.falling).astype(np.int8)
    readings = kept(columns, aligned, falling, order.older)
    applied = apply_levels(
        replace(_seen(columns, readings, inputs), evaluated_micros=columns.evaluated_micros),
        np.empty(0, np.int64),
        _NO_LEVELS,
        _NO_TRUTHS,
        inputs.guarded_micros,
    )
    counts = _counts(columns, compiled_limits, places, aligned, inputs)
    return _outcome(applied, compiled_limits.tables, inputs.positions, counts)


def with_level(
    columns: AlertColumns, row: int, level: Level, now_micros: int
) -> tuple[AlertColumns, bool]:
    """Set a level by an event instead of a reading; same counters, same rule of notifying."""
    applied = apply_levels(
        columns, np.array([row]), np.array([level], np.int8), np.ones(1, bool), now_micros
    )
    return applied.columns, bool(applied.notified[0])


def _outcome(
    applied: AppliedLevels, tables: ThresholdTables, positions: Positions, counts: Counts
) -> Outcome:
    columns, rows = applied.columns, applied.rows
    limits = tables.limits_of(columns, rows)
    return Outcome(
        columns=columns,
        changed=rows,
        before=applied.before,
        notified=applied.notified,
        expired=applied.expired,
        released=applied.released,
        ended_quietly=applied.ended_quietly,
        off=~tables.active(columns.pick(rows)),
        limits=limits,
        flip_value=flip_values(
            columns.kind[rows], columns.level[rows], columns.last_triggered_micros[rows], limits
        ),
        position_row=positions.rows_of(columns.subject_key[rows]),
        evaluated_count=counts[0],
        stale_count=counts[1],
        unknown_count=counts[2],
        unjudged_count=counts[3],
    )


def flip_values(
    kind: NDArray[np.int16], level: Levels, raised_micros: Integers, limits: Floats
) -> Floats:
    """The value at which each level may fall; of a reminder its end, seconds since 1970."""
    flip = flips(level, limits, signs(condition_number(kind)))
    moments = kind == TIME_KIND
    if moments.any():
        over = raised_micros / 1_000_000 + TIME_STANDS_SECONDS
        flip = np.where(moments, np.where(level > Level.NORMAL, over, np.nan), flip)
    return flip


def _counts(
    columns: AlertColumns,
    compiled_limits: CompiledLimits,
    places: PositionPlaces,
    aligned: AlignedReadings,
    inputs: Inputs,
) -> Counts:
    judged, unjudged = compiled_limits.judged, 0
    if inputs.unread:
        asked = np.isin(columns.alert_class, READ_FROM_POSITIONS)
        left = judged & asked & np.isnan(aligned.value)
        judged, unjudged = judged & ~left, int(np.count_nonzero(left))
    states = (ReadingState.STALE, ReadingState.UNKNOWN)
    stale, unknown = (int(np.count_nonzero(judged & (aligned.state == state))) for state in states)
    if not inputs.unread:
        # That a position is over is known: its alerts hold until ClearStaleAlerts takes them.
        unknown -= int(np.count_nonzero(judged[places.not_held]))
    return int(np.count_nonzero(judged)), stale, unknown, unjudged
