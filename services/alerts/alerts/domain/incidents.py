"""What becomes of new levels: incidents, holds of people, and what is notified.

A hold (silence, acknowledgement) keeps rises up to its level quiet until it expires; a higher one
breaks it. What was kept quiet and still stands when it ends is notified then: no level stays
unknown for longer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.alerts.alerts.domain.alert_columns import AlertColumns
from services.alerts.domain.kinds import (
    KIND_COUNT,
    LONGEST_QUIET_SECONDS,
    METRICS,
    AlertStatus,
    AlertType,
    Level,
    ReadingState,
    is_reported,
    type_number,
)
from services.alerts.domain.levels import NOT_FALLING

Integers = NDArray[np.int64]
Levels = NDArray[np.int8]
Truths = NDArray[np.bool_]

# One moment for all rows, or one for each.
Moments = int | Integers

_MICROS = 1_000_000
# Whoever is gone since the backup is found so by two answers of a venue, half a minute apart.
FRESH_ONLY_SECONDS = 600

IS_OPPORTUNITY = np.zeros(KIND_COUNT, bool)
for _kind in range(KIND_COUNT):
    _type = type_number(_kind)
    if _type in set(AlertType) and AlertType(_type) in METRICS:
        IS_OPPORTUNITY[_kind] = METRICS[AlertType(_type)].opportunity


@dataclass(frozen=True, slots=True)
class AppliedLevels:
    """The alerts afterwards; the rest by `rows`; a hold that expired or broke is released."""

    columns: AlertColumns
    rows: Integers
    before: Levels
    notified: Truths
    expired: Truths
    released: Truths
    # It was notified, that it is over is not: what escalates, or waits to be told, must stop.
    ended_quietly: Truths


def expiry(columns: AlertColumns, now_micros: Moments) -> Truths:
    """Rows whose hold has run out."""
    left = columns.held_until_micros - now_micros
    over: Truths = (columns.held_status > 0) & (
        (left <= 0) | (left > LONGEST_QUIET_SECONDS * _MICROS)
    )
    return over


def fresh_only_until(until_micros: int, now_micros: int) -> int:
    """Until when what a restore left untold waits for a fresh reading, 0 when it does not; -1:
    nothing was judged since the restore, so the wait begins now.
    """
    if until_micros < 0:
        return now_micros + FRESH_ONLY_SECONDS * _MICROS
    left = until_micros - now_micros
    return until_micros if 0 < left <= FRESH_ONLY_SECONDS * _MICROS else 0


def due(
    columns: AlertColumns,
    level: Levels,
    active: Truths,
    now_micros: Moments,
    *,
    fresh_only: bool = False,
) -> Truths:
    """Rows with something to notify though their level may stay: a hold or cooldown is over. What
    the last observation would have let fall may be over: it is told when the next one disagrees.
    `fresh_only`: what was not read anew may be of a position long gone; it waits.
    """
    active = active & (columns.readings.falling_level == NOT_FALLING)
    owed: Truths = active & (level > columns.notified_level) & (level > Level.NORMAL)
    if columns.kept_level.any():
        owed = owed | (active & _stands(columns, level) & ~_quiet(columns, now_micros))
    if fresh_only:
        owed &= (columns.readings.state == ReadingState.FRESH) | is_reported(columns.kind)
    held: Truths = columns.held_status > 0
    if not held.any():
        return owed
    expired = expiry(columns, now_micros)
    return expired | (owed & ~(held & ~expired & (level <= columns.held_level)))


def _quiet(columns: AlertColumns, now_micros: Moments) -> Truths:
    """Rows within their cooldown."""
    age = now_micros - columns.notified_micros
    quiet: Truths = (age >= 0) & (age < columns.cooldown_seconds.astype(np.int64) * _MICROS)
    return quiet


def _stands(columns: AlertColumns, level: Levels) -> Truths:
    """Rows of which a rise was kept back, and it still stands."""
    stands: Truths = (columns.kept_level > 0) & (level >= columns.kept_level)
    return stands


_HOLD = ("held_status", "held_level", "held_until_micros")


def apply_levels(
    columns: AlertColumns, rows: Integers, level: Levels, active: Truths, now_micros: Moments,
    *, notifying: bool = True,
) -> AppliedLevels:  # fmt: skip
    """Give these rows these levels, with incidents, counters, holds, and what of it is notified.

    A rise is notified unless it is held, or this level or a higher one of the incident was within
    the cooldown; it is then kept, and notified when hold and cooldown are over if it still stands.
    The way back to NORMAL is notified when the incident was, is of danger and neither silenced nor
    off; a partial fall is only recorded.
    """
    if not len(rows):
        none = np.empty(0, bool)
        return AppliedLevels(columns, rows, level, none, none, none, none)
    one = columns.pick(rows)
    before, rises = one.level, level > one.level
    starts = rises & (before == Level.NORMAL)
    ends = (level == Level.NORMAL) & (before > Level.NORMAL)
    danger = ~IS_OPPORTUNITY[one.kind]
    expired = expiry(one, now_micros)
    broken = (one.held_status > 0) & ~expired & (level > one.held_level)
    held = (one.held_status > 0) & ~expired & ~broken
    base = _notified_already(one, forgotten=(expired & danger) | starts, broken=broken)
    quiet = _quiet(one, now_micros)
    repeated = ~starts & (level <= base) & quiet
    again = _stands(one, level) & ~quiet
    due = (rises & ~repeated) | (level > base) | again
    wanted = active & (level > Level.NORMAL) & ~held & due
    silenced = held & (one.held_status == AlertStatus.SILENCED)
    notified = notifying & (
        wanted | (ends & active & (one.notified_level > 0) & danger & ~silenced)
    )
    loud = notified & wanted
    ended_quietly = ends & (one.notified_level > 0) & ~notified
    kept = np.where(active & rises & ~notified, level, one.kept_level)
    released = expired | broken | (held & ends & (one.held_status == AlertStatus.ACKNOWLEDGED))
    values = {
        "level": level,
        "previous_level": np.where(level != before, before, one.previous_level),
        "notified_level": np.where(ends, 0, np.where(loud, np.maximum(level, base), base)),
        "notified_micros": np.where(loud, now_micros, one.notified_micros),
        "kept_level": np.where(loud | (level < kept), 0, kept),
        "incident_count": one.incident_count + starts,
        "trigger_count": one.trigger_count + rises,
        "last_triggered_micros": np.where(rises, now_micros, one.last_triggered_micros),
    }
    if released.any():
        values |= {name: np.where(released, 0, getattr(one, name)) for name in _HOLD}
    after = columns.with_values(rows, values)
    return AppliedLevels(after, rows, before, notified, expired, released, ended_quietly)


def _notified_already(one: AlertColumns, *, forgotten: Truths, broken: Truths) -> Levels:
    """Up to which level each counts as notified: none after a hold, at most that of a broken."""
    base = np.where(forgotten, 0, one.notified_level)
    notified: Levels = np.where(broken, np.minimum(base, one.held_level), base)
    return notified


def hold(
    columns: AlertColumns,
    rows: Integers,
    status: AlertStatus,
    level: int | Levels,
    until_micros: int,
) -> AlertColumns:
    """The alerts with these held; one level, or of each its own."""
    values = {"held_status": status, "held_level": level, "held_until_micros": until_micros}
    return columns.with_values(rows, values)


def levels_of_each(columns: AlertColumns, rows: Integers, level: int) -> Levels:
    """What is said of many together, up to a level, counts for each up to the one it has: that it
    gets worse nobody has heard.
    """
    own = np.minimum(np.maximum(columns.level[rows], Level.LOW), level)
    return np.asarray(own, np.int8)


def release(columns: AlertColumns, rows: Integers) -> AlertColumns:
    """The alerts with these no longer held; what was kept quiet is then due."""
    return columns.with_values(rows, dict.fromkeys(_HOLD, 0))
