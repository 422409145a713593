"""One evaluation of a whole board: which levels change, what of it is told. Knows no store and no text."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from services.alerts.domain.board import Board
from services.alerts.domain.kinds import (
    DEATH_KIND,
    KIND_COUNT,
    METRICS,
    AlertType,
    Level,
    ReadingState,
)
from services.alerts.domain.levels import Reading, flips, judge, signs
from services.alerts.domain.readings import Beside, Inputs, is_new, kept, lay

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Truths = NDArray[np.bool_]

_MICROS = 1_000_000

IS_OPPORTUNITY = np.zeros(KIND_COUNT, bool)
for _kind in range(KIND_COUNT):
    _type = _kind // 4
    if _type in set(AlertType) and AlertType(_type) in METRICS:
        IS_OPPORTUNITY[_kind] = METRICS[AlertType(_type)].opportunity


@dataclass(frozen=True, slots=True)
class Tables:
    """Limits (kind, asset, 3) and whether they judge (kind, asset); asset as in the board."""

    limits: Floats
    enabled: Truths

    def limits_of(self, board: Board, rows: Integers | slice = slice(None)) -> Floats:
        """Limits of each row, (n, 3); an alert's own trigger replaces them: HIGH there, else NORMAL."""
        limits: Floats = self.limits[board.kind[rows], board.asset_key[rows]]
        own = board.trigger_value[rows]
        is_own = ~np.isnan(own)
        if is_own.any():
            limits[is_own] = own[is_own, None]
        return limits

    def active(self, board: Board) -> Truths:
        """Rows that are judged and told; the rest is INACTIVE. A death is nobody's to switch off."""
        judged: Truths = self.enabled[board.kind, board.asset_key]
        active: Truths = judged | ~np.isnan(board.trigger_value) | (board.kind == DEATH_KIND)
        return active


@dataclass(frozen=True, slots=True)
class Outcome:
    """The board after an evaluation. `changed` are rows whose level changed, the rest is about those rows."""

    board: Board
    changed: Integers
    told: Truths
    limits: Floats
    flip_value: Floats
    position_row: Integers
    evaluated_count: int
    stale_count: int
    unknown_count: int

    @property
    def raised(self) -> Truths:
        return self.board.level[self.changed] > self.board.previous_level[self.changed]


def evaluate(board: Board, tables: Tables, inputs: Inputs) -> Outcome:
    """Judge every active alert by what is known now."""
    beside = lay(board, inputs)
    active = tables.active(board) & (board.kind != DEATH_KIND)
    limits, sign = tables.limits_of(board), signs(board.kind % 4)
    reading = Reading(beside.value, beside.state == ReadingState.FRESH, is_new(board, beside))
    level, falling = judge(board.level, board.readings.falling, reading, limits, sign)
    level = np.where(active, level, board.level)
    changed = np.flatnonzero(level != board.level)
    readings = kept(board, beside, np.where(active, falling, 0).astype(np.int8))
    after, told = _changed(board, changed, level[changed], inputs.now_micros)
    return Outcome(
        board=replace(after, readings=readings, evaluated_micros=inputs.now_micros),
        changed=changed,
        told=told,
        limits=limits[changed],
        flip_value=flips(level[changed], limits[changed], sign[changed]),
        position_row=beside.position_row[changed],
        evaluated_count=int(active.sum()),
        stale_count=_count(active, beside, ReadingState.STALE),
        unknown_count=_count(active, beside, ReadingState.UNKNOWN),
    )


def _count(active: Truths, beside: Beside, state: ReadingState) -> int:
    return int((active & (beside.state == state)).sum())


def _changed(board: Board, rows: Integers, level: NDArray[np.int8], now_micros: int) -> tuple[Board, Truths]:
    """The board with new levels, incidents and counters, and which of the changes are told.

    A rise is told unless this incident was told at least this level within the cooldown; the way back to
    NORMAL is told when the incident was and is of danger; a partial fall is only recorded.
    """
    if not len(rows):
        return board, np.zeros(0, bool)
    before, told_level = board.level[rows], board.told_level[rows]
    rises, starts, ends = level > before, before == Level.NORMAL, level == Level.NORMAL
    quiet = now_micros - board.told_micros[rows] < board.cooldown_seconds[rows].astype(np.int64) * _MICROS
    repeated = ~starts & (level <= told_level) & quiet
    told_rise = rises & ~repeated
    told = told_rise | (ends & (told_level > 0) & ~IS_OPPORTUNITY[board.kind[rows]])
    starting = rises & starts
    values = {
        "level": level,
        "previous_level": before,
        "told_level": np.where(
            ends, 0, np.where(told_rise, np.maximum(level, np.where(starting, 0, told_level)), told_level)
        ),
        "told_micros": np.where(told_rise, now_micros, board.told_micros[rows]),
        "incident_count": board.incident_count[rows] + starting,
        "trigger_count": board.trigger_count[rows] + rises,
        "last_triggered_micros": np.where(rises, now_micros, board.last_triggered_micros[rows]),
    }
    columns = {}
    for name, fresh in values.items():
        columns[name] = getattr(board, name).copy()
        columns[name][rows] = fresh
    return replace(board, **columns), told


def with_levels(board: Board, rows: Integers, level: Level, now_micros: int) -> tuple[Board, Truths]:
    """Set levels by an event instead of a reading; same counters, same rule of telling."""
    return _changed(board, rows, np.full(len(rows), level, np.int8), now_micros)
