"""One evaluation of all alerts: which levels change, what of it is notified."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from services.alerts.alerts.domain.alert_columns import JUDGED_BIT, OFF_BIT, AlertColumns
from services.alerts.alerts.domain.extremes import Limits, Touches, joined, touched_values, touches
from services.alerts.alerts.domain.incidents import AppliedLevels, apply_levels, due, expiry
from services.alerts.alerts.domain.readings import (
    READ_FROM_POSITIONS,
    AlignedReadings,
    Inputs,
    Order,
    PositionPlaces,
    Positions,
    ReadingIndex,
    align,
    kept,
    ordered,
    unstarted,
)
from services.alerts.domain.kinds import (
    KIND_COUNT,
    TIME_KIND,
    TIME_STANDS_SECONDS,
    Level,
    ReadingState,
    condition_number,
    is_reported,
)
from services.alerts.domain.levels import ReadingColumns, flips, judge_levels, signs

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Truths = NDArray[np.bool_]

Levels = NDArray[np.int8]
# Alerts judged; of them with a stale, with an absent reading; alerts that were not, as nobody could
# be asked.
Counts = tuple[int, int, int, int]

_NO_LEVELS, _NO_TRUTHS = np.empty(0, np.int8), np.empty(0, bool)


class CompiledLimits:
    """What limits make of the alerts: the same until one comes, goes or is edited."""

    def __init__(self, tables: ThresholdTables, columns: AlertColumns) -> None:
        self._made_of = _compiled_from(columns)
        self.tables = tables
        self.reading_index = ReadingIndex(columns)
        self.active = tables.active(columns)
        self.judged = self.active & ~is_reported(columns.kind)
        self.sign = signs(condition_number(columns.kind)).astype(np.int8)
        # The first edge a rising danger meets; dangerous is high, BELOW in the mirror.
        of_kind = signs(condition_number(np.arange(KIND_COUNT)))[:, None, None]
        nearest = np.fmin.reduce(tables.limits * of_kind, axis=2)
        own = columns.trigger_value * self.sign
        self.nearest = np.where(np.isnan(own), nearest[columns.kind, columns.asset_key], own)

    def holds_for(self, tables: ThresholdTables, columns: AlertColumns) -> bool:
        """Whether it was made of these: columns are replaced, never changed."""
        return tables is self.tables and all(
            mine is theirs
            for mine, theirs in zip(self._made_of, _compiled_from(columns), strict=True)
        )


def _compiled_from(columns: AlertColumns) -> tuple[object, ...]:
    return (
        columns.subject_key,
        columns.kind,
        columns.asset_key,
        columns.trigger_value,
        columns.trait_bits,
        columns.assets,
    )


@dataclass(frozen=True, slots=True)
class ThresholdTables:
    """Limits (kind, asset, 3) and whether they judge (kind, asset); asset as in the alerts."""

    limits: Floats
    enabled: Truths

    def limits_of(self, columns: AlertColumns, rows: Integers | slice = slice(None)) -> Floats:
        """Limits of each row, (n, 3); an alert's own trigger replaces them: HIGH, else NORMAL."""
        limits: Floats = self.limits[columns.kind[rows], columns.asset_key[rows]]
        own = columns.trigger_value[rows]
        is_own = ~np.isnan(own)
        if is_own.any():
            limits[is_own] = own[is_own, None]
        return limits

    def active(self, columns: AlertColumns) -> Truths:
        """Rows that are judged and notified, the rest is INACTIVE; a death always is."""
        judged: Truths = self.enabled[columns.kind, columns.asset_key]
        active: Truths = judged | ~np.isnan(columns.trigger_value) | is_reported(columns.kind)
        on: Truths = active & (columns.trait_bits & OFF_BIT == 0)
        return on


# Columns of an outcome, a row each change, beside `changed` and `touched_value`.
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

    def pick(self, places: Integers) -> Outcome:
        """These changes alone."""
        own = {name: getattr(self, name)[places] for name in ("changed", *OF_CHANGES)}
        if len(self.touched_value):
            own["touched_value"] = self.touched_value[places]
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
    touched, level, falling = _levels(columns, aligned, order, compiled_limits, places, inputs)
    # Who switched it off knows of it. Switched on again it is judged anew, and notified.
    off = ~compiled_limits.active & (level > Level.NORMAL)
    if off.any():
        level = np.where(off, np.int8(Level.NORMAL), level)
    # What is older than a reading known already may raise, and else says nothing.
    past = order.older & (level <= columns.level)
    readings = kept(columns, aligned, falling, past)
    after = replace(columns, readings=readings, evaluated_micros=inputs.now_micros)
    waiting = due(after, level, compiled_limits.active & notifying, inputs.guarded_micros)
    rows = np.flatnonzero((level != columns.level) | waiting)
    is_part = most is not None and len(rows) > most
    if is_part:
        rows = np.sort(rows[np.argsort(-level[rows], kind="stable")[:most]])
    applied = apply_levels(
        after,
        rows,
        level[rows],
        compiled_limits.active[rows],
        inputs.guarded_micros,
        notifying=notifying,
    )
    counts = _counts(columns, compiled_limits, places, aligned, inputs)
    outcome = _outcome(applied, compiled_limits.tables, inputs.positions, counts)
    return replace(
        outcome,
        started=() if is_part else list(starts),
        is_part=is_part,
        touched_value=touched.value_of(outcome.changed),
    )


def _judged(
    columns: AlertColumns, aligned: AlignedReadings, order: Order, compiled_limits: CompiledLimits
) -> tuple[Levels, Levels]:
    """The levels, and what is remembered of their falling. A row at NORMAL that reaches no limit
    stays so.

    Where a level would be lower by an observation judged before, the reading is marked STALE: it
    held it.
    """
    level, falling = columns.level, np.zeros(len(columns), np.int8)
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


def _levels(
    columns: AlertColumns,
    aligned: AlignedReadings,
    order: Order,
    compiled_limits: CompiledLimits,
    places: PositionPlaces,
    inputs: Inputs,
) -> tuple[Touches, Levels, Levels]:
    """By the readings, then by the extremes, which only raise."""
    level, falling = _judged(columns, aligned, order, compiled_limits)
    positions, found = inputs.positions, []
    for entry in places.entries:
        values = touched_values(entry.type, positions.extremes, positions.figures)
        if values is None:
            continue
        rows, now = entry.rows, np.maximum(level[entry.rows], columns.level[entry.rows])
        limits = Limits(
            compiled_limits.judged[rows],
            compiled_limits.sign[rows],
            compiled_limits.nearest[rows],
            partial(compiled_limits.tables.limits_of, columns),
        )
        known = ~np.isnan(columns.readings.value[rows])
        numbers = np.arange(rows.start, rows.stop) if isinstance(rows, slice) else rows
        found.append(touches(numbers, values[entry.position_rows], now, known, limits))
    touched = joined(found)
    return touched, *touched.raised(level, falling)


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
        replace(columns, readings=readings),
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
