"""One evaluation of a whole board: which levels change, what of it is told. Knows no store and no text."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from services.alerts.domain.board import OFF_BIT, Board
from services.alerts.domain.kinds import DEATH_KIND, Level, ReadingState
from services.alerts.domain.levels import Reading, flips, judge, signs
from services.alerts.domain.readings import Beside, Inputs, Positions, kept, lay
from services.alerts.domain.telling import Settled, due, expiry, settle

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Truths = NDArray[np.bool_]

Levels = NDArray[np.int8]
# Alerts judged; of them with a stale, with an absent reading.
Counts = tuple[int, int, int]

_NO_LEVELS, _NO_TRUTHS = np.empty(0, np.int8), np.empty(0, bool)


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
        on: Truths = active & (board.trait_bits & OFF_BIT == 0)
        return on


@dataclass(frozen=True, slots=True)
class Outcome:
    """The board after an evaluation. `changed` are rows to record, the rest is about those rows: the level
    changed, or it is told only now, or a hold of it ran out.
    """

    board: Board
    changed: Integers
    before: Levels
    told: Truths
    expired: Truths
    released: Truths
    limits: Floats
    flip_value: Floats
    position_row: Integers
    evaluated_count: int
    stale_count: int
    unknown_count: int

    @property
    def raised(self) -> Truths:
        return self.board.level[self.changed] > self.before

    @property
    def lowered(self) -> Truths:
        return self.board.level[self.changed] < self.before


def evaluate(board: Board, tables: Tables, inputs: Inputs, *, telling: bool = True) -> Outcome:
    """Judge every active alert by what is known now; without `telling` what is due waits for the next."""
    beside = lay(board, inputs)
    judged = tables.active(board) & (board.kind != DEATH_KIND)
    limits, sign = tables.limits_of(board), signs(board.kind % 4)
    reading = Reading(beside.value, beside.state == ReadingState.FRESH)
    level, falling = judge(board.level, board.readings.falling, reading, limits, sign)
    level = np.where(judged, level, board.level)
    readings = kept(board, beside, np.where(judged, falling, 0).astype(np.int8))
    after = replace(board, readings=readings, evaluated_micros=inputs.now_micros)
    counts = _counts(judged, beside)
    return _settled(after, level, tables, inputs.steady_micros, beside.position_row, counts, telling)


def expire(board: Board, tables: Tables, positions: Positions, now_micros: int) -> Outcome:
    """End the holds whose time has come, without any judgement."""
    return stand(board, tables, positions, np.flatnonzero(expiry(board, now_micros)), now_micros)


def stand(
    board: Board,
    tables: Tables,
    positions: Positions,
    rows: Integers,
    now_micros: int,
    *,
    telling: bool = True,
) -> Outcome:
    """Settle these rows at the level they have: what was kept quiet is told."""
    place = lay(board.pick(rows), Inputs(positions, {}, {}, now_micros, now_micros)).position_row
    active = tables.active(board)[rows]
    settled = settle(board, rows, board.level[rows], active, now_micros, telling=telling)
    return _outcome(settled, tables, place, (0, 0, 0))


def enrich(board: Board, tables: Tables, inputs: Inputs) -> Outcome:
    """Other readings, the same levels."""
    beside = lay(board, inputs)
    readings = kept(board, beside, board.readings.falling)
    nothing = np.empty(0, np.int64)
    counts = _counts(tables.active(board) & (board.kind != DEATH_KIND), beside)
    return _outcome(
        settle(replace(board, readings=readings), nothing, _NO_LEVELS, _NO_TRUTHS, 0), tables, nothing, counts
    )


def with_level(board: Board, row: int, level: Level, now_micros: int) -> tuple[Board, bool]:
    """Set a level by an event instead of a reading; same counters, same rule of telling."""
    settled = settle(board, np.array([row]), np.array([level], np.int8), np.ones(1, bool), now_micros)
    return settled.board, bool(settled.told[0])


def _settled(
    board: Board,
    level: Levels,
    tables: Tables,
    now_micros: int,
    position_row: Integers,
    counts: Counts,
    telling: bool,
) -> Outcome:
    active = tables.active(board)
    waiting = due(board, level, active & telling, now_micros)
    rows = np.flatnonzero((level != board.level) | waiting)
    settled = settle(board, rows, level[rows], active[rows], now_micros, telling=telling)
    return _outcome(settled, tables, position_row[rows], counts)


def _outcome(settled: Settled, tables: Tables, position_row: Integers, counts: Counts) -> Outcome:
    board, rows = settled.board, settled.rows
    limits = tables.limits_of(board, rows)
    return Outcome(
        board=board,
        changed=rows,
        before=settled.before,
        told=settled.told,
        expired=settled.expired,
        released=settled.released,
        limits=limits,
        flip_value=flips(board.level[rows], limits, signs(board.kind[rows] % 4)),
        position_row=position_row,
        evaluated_count=counts[0],
        stale_count=counts[1],
        unknown_count=counts[2],
    )


def _counts(judged: Truths, beside: Beside) -> Counts:
    states = (ReadingState.STALE, ReadingState.UNKNOWN)
    stale, unknown = (int((judged & (beside.state == state)).sum()) for state in states)
    return int(judged.sum()), stale, unknown
