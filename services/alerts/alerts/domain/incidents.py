"""What becomes of new levels: incidents, holds of people, and what is told. Knows no reading and no text.

A hold (silence, acknowledgement) keeps rises up to its level quiet until it expires; a higher one breaks it.
What was kept quiet and still stands when it ends is told then, so that no level stays untold for longer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.alerts.alerts.domain.alert_columns import Board
from services.alerts.domain.kinds import KIND_COUNT, METRICS, AlertStatus, AlertType, Level

Integers = NDArray[np.int64]
Levels = NDArray[np.int8]
Truths = NDArray[np.bool_]

_MICROS = 1_000_000
# No hold may last longer, also when the machine's clock was set back.
LONGEST_HOLD_SECONDS = 7 * 24 * 3600

IS_OPPORTUNITY = np.zeros(KIND_COUNT, bool)
for _kind in range(KIND_COUNT):
    _type = _kind // 4
    if _type in set(AlertType) and AlertType(_type) in METRICS:
        IS_OPPORTUNITY[_kind] = METRICS[AlertType(_type)].opportunity


@dataclass(frozen=True, slots=True)
class Settled:
    """The board afterwards; the rest is row by row of `rows`; a hold that expired or broke is released."""

    board: Board
    rows: Integers
    before: Levels
    told: Truths
    expired: Truths
    released: Truths
    # HIGH of danger was told, and that it is over is not: whoever still tells of it must stop.
    unsaid: Truths


def expiry(board: Board, now_micros: int) -> Truths:
    """Rows whose hold has run out."""
    left = board.held_until_micros - now_micros
    over: Truths = (board.held_status > 0) & ((left <= 0) | (left > LONGEST_HOLD_SECONDS * _MICROS))
    return over


def due(board: Board, level: Levels, active: Truths, now_micros: int) -> Truths:
    """Rows to settle though their level may stay: a hold or a cooldown is over, or a level was never told."""
    owed: Truths = active & (level > board.told_level) & (level > Level.NORMAL)
    if board.kept_level.any():
        owed = owed | (active & _stands(board, level) & ~_quiet(board, now_micros))
    held: Truths = board.held_status > 0
    if not held.any():
        return owed
    expired = expiry(board, now_micros)
    return expired | (owed & ~(held & ~expired & (level <= board.held_level)))


def _quiet(board: Board, now_micros: int) -> Truths:
    """Rows within their cooldown."""
    age = now_micros - board.told_micros
    quiet: Truths = (age >= 0) & (age < board.cooldown_seconds.astype(np.int64) * _MICROS)
    return quiet


def _stands(board: Board, level: Levels) -> Truths:
    """Rows of which a rise was kept back, and it still stands."""
    stands: Truths = (board.kept_level > 0) & (level >= board.kept_level)
    return stands


def settle(
    board: Board, rows: Integers, level: Levels, active: Truths, now_micros: int, *, telling: bool = True
) -> Settled:
    """Give these rows these levels, with incidents, counters, holds, and which of it is told.

    A rise is told unless it is held, or this incident was told at least this level within the cooldown; it is
    then kept, and told when hold and cooldown are over if it still stands. The way back to NORMAL is told
    when the incident was, is of danger and neither silenced nor off; a partial fall is only recorded.
    """
    if not len(rows):
        none = np.empty(0, bool)
        return Settled(board, rows, level, none, none, none, none)
    one = board.pick(rows)
    before, rises = one.level, level > one.level
    starts, ends = rises & (before == Level.NORMAL), (level == Level.NORMAL) & (before > Level.NORMAL)
    danger = ~IS_OPPORTUNITY[one.kind]
    expired = expiry(one, now_micros)
    broken = (one.held_status > 0) & ~expired & (level > one.held_level)
    held = (one.held_status > 0) & ~expired & ~broken
    # What counts as told already: nothing after a hold ran out, at most its level after it broke.
    base = np.where((expired & danger) | starts, 0, one.told_level)
    base = np.where(broken, np.minimum(base, one.held_level), base)
    quiet = _quiet(one, now_micros)
    repeated = ~starts & (level <= base) & quiet
    again = _stands(one, level) & ~quiet
    wanted = active & (level > Level.NORMAL) & ~held & ((rises & ~repeated) | (level > base) | again)
    silenced = held & (one.held_status == AlertStatus.SILENCED)
    told = telling & (wanted | (ends & active & (one.told_level > 0) & danger & ~silenced))
    loud = told & wanted
    unsaid = ends & (one.told_level == Level.HIGH) & danger & ~told
    kept = np.where(active & rises & ~told, level, one.kept_level)
    released = expired | broken | (held & ends & (one.held_status == AlertStatus.ACKNOWLEDGED))
    values = {
        "level": level,
        "previous_level": np.where(level != before, before, one.previous_level),
        "told_level": np.where(ends, 0, np.where(loud, np.maximum(level, base), base)),
        "told_micros": np.where(loud, now_micros, one.told_micros),
        "kept_level": np.where(loud | (level < kept), 0, kept),
        "incident_count": one.incident_count + starts,
        "trigger_count": one.trigger_count + rises,
        "last_triggered_micros": np.where(rises, now_micros, one.last_triggered_micros),
    }
    if released.any():
        values |= {
            name: np.where(released, 0, getattr(one, name))
            for name in ("held_status", "held_level", "held_until_micros")
        }
    return Settled(board.with_values(rows, values), rows, before, told, expired, released, unsaid)


def hold(board: Board, row: int, status: AlertStatus, level: int, until_micros: int) -> Board:
    """The board with one alert held."""
    values = {"held_status": status, "held_level": level, "held_until_micros": until_micros}
    return board.with_values(np.array([row]), values)


def release(board: Board, row: int) -> Board:
    """The board with one alert no longer held; what was kept quiet is then due."""
    return board.with_values(np.array([row]), {"held_status": 0, "held_level": 0, "held_until_micros": 0})
