"""One evaluation of a whole board: which levels change, what of it is told. Knows no store and no text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from services.alerts.alerts.domain.alert_columns import JUDGED_BIT, OFF_BIT, Board
from services.alerts.alerts.domain.incidents import Settled, due, expiry, settle
from services.alerts.alerts.domain.readings import (
    Beside,
    Inputs,
    Order,
    Positions,
    Seating,
    kept,
    lay,
    ordered,
    unstarted,
)
from services.alerts.domain.kinds import (
    DEATH_KIND,
    TIME_KIND,
    TIME_STANDS_SECONDS,
    AlertClass,
    Level,
    ReadingState,
)
from services.alerts.domain.levels import Reading, flips, judge, signs

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Truths = NDArray[np.bool_]

Levels = NDArray[np.int8]
# Alerts judged; of them with a stale, with an absent reading; alerts that were not, as nobody could be asked.
Counts = tuple[int, int, int, int]

_NO_LEVELS, _NO_TRUTHS = np.empty(0, np.int8), np.empty(0, bool)


class Ground:
    """What limits make of a board, row by row: the same until an alert comes, goes or is edited."""

    def __init__(self, tables: Tables, board: Board) -> None:
        self._made_of = _grounds(board)
        self.seating = Seating(board)
        self.active = tables.active(board)
        self.judged = self.active & (board.kind != DEATH_KIND)
        self.limits = tables.limits_of(board)
        self.sign = signs(board.kind % 4)
        # The first edge a rising danger meets; dangerous is high, BELOW in the mirror.
        self.nearest = np.fmin.reduce(self.limits * self.sign[:, None], axis=1)

    def holds_for(self, board: Board) -> bool:
        """Whether the columns it was made of are still the board's: columns are replaced, never changed."""
        return all(mine is theirs for mine, theirs in zip(self._made_of, _grounds(board), strict=True))


def _grounds(board: Board) -> tuple[object, ...]:
    return board.subject_key, board.kind, board.asset_key, board.trigger_value, board.trait_bits, board.assets


@dataclass(frozen=True, slots=True)
class Tables:
    """Limits (kind, asset, 3) and whether they judge (kind, asset); asset as in the board."""

    limits: Floats
    enabled: Truths
    _ground: list[Ground] = field(default_factory=list, repr=False, compare=False)

    def ground(self, board: Board) -> Ground:
        """Made again only for other alerts."""
        known = self._ground[0] if self._ground else None
        if known is None or not known.holds_for(board):
            # Another thread may ask for another board meanwhile: what is returned is this one's.
            known = Ground(self, board)
            self._ground[:] = [known]
        return known

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
    unsaid: Truths
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

    @property
    def raised(self) -> Truths:
        return self.board.level[self.changed] > self.before

    @property
    def lowered(self) -> Truths:
        return self.board.level[self.changed] < self.before


def evaluate(board: Board, tables: Tables, inputs: Inputs, *, telling: bool = True) -> Outcome:
    """Judge every active alert by what is known now; without `telling` what is due waits for the next."""
    ground = tables.ground(board)
    starts = unstarted(board, inputs, ground.seating)
    if starts:
        rows = np.array(list(starts))
        board = board.with_values(rows, {"starting_value": list(starts.values())})
    beside = lay(board, inputs, ground.seating)
    order = ordered(board.readings, beside, inputs.now_micros)
    level, falling = _judged(board, beside, order, ground)
    # Who switched it off knows of it. Switched on again it is judged anew, and told.
    off = ~ground.active & (level > Level.NORMAL)
    if off.any():
        level = np.where(off, np.int8(Level.NORMAL), level)
    # What is older than a reading known already may raise, and else says nothing.
    past = order.older & (level <= board.level)
    readings = kept(board, beside, falling, past)
    after = replace(board, readings=readings, evaluated_micros=inputs.now_micros)
    waiting = due(after, level, ground.active & telling, inputs.steady_micros)
    rows = np.flatnonzero((level != board.level) | waiting)
    settled = settle(after, rows, level[rows], ground.active[rows], inputs.steady_micros, telling=telling)
    outcome = _outcome(settled, tables, inputs.positions, _counts(board, ground, beside, inputs))
    return replace(outcome, started=list(starts)) if starts else outcome


def _judged(board: Board, beside: Beside, order: Order, ground: Ground) -> tuple[Levels, Levels]:
    """The levels, and what is remembered of their falling. A row at NORMAL that reaches no limit stays so.

    Where a level would be lower by an observation judged before, the reading is marked STALE: it held it.
    """
    level, falling = board.level, np.zeros(len(board), np.int8)
    reached = beside.value * ground.sign >= ground.nearest
    rows = np.flatnonzero(ground.judged & (reached | (level > Level.NORMAL)))
    if len(rows):
        now, last, present = beside.pick(rows), board.readings.pick(rows), order.pick(rows)
        reading = Reading(now.value, now.state == ReadingState.FRESH, present.new)
        judged = judge(level[rows], last.falling_level, reading, ground.limits[rows], ground.sign[rows])
        stays = np.isnan(now.value) | (present.older & (judged.level <= level[rows]))
        was_judged = ~stays | last.judged
        level = level.copy()
        level[rows] = judged.level
        falling[rows] = judged.falling | np.where(was_judged, JUDGED_BIT, 0)
        beside.state[rows[judged.held]] = ReadingState.STALE
    return level, falling


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
    active = tables.active(board)[rows]
    settled = settle(board, rows, board.level[rows], active, now_micros, telling=telling)
    return _outcome(settled, tables, positions, (0, 0, 0, 0))


def enrich(board: Board, tables: Tables, inputs: Inputs) -> Outcome:
    """Other readings, the same levels."""
    ground = tables.ground(board)
    beside = lay(board, inputs, ground.seating)
    order = ordered(board.readings, beside, inputs.now_micros)
    _judged(board, beside, order, ground)
    last = board.readings
    falling = np.where(order.new, last.falling_level, last.falling).astype(np.int8)
    readings = kept(board, beside, falling, order.older)
    settled = settle(
        replace(board, readings=readings), np.empty(0, np.int64), _NO_LEVELS, _NO_TRUTHS, inputs.steady_micros
    )
    return _outcome(settled, tables, inputs.positions, _counts(board, ground, beside, inputs))


def with_level(board: Board, row: int, level: Level, now_micros: int) -> tuple[Board, bool]:
    """Set a level by an event instead of a reading; same counters, same rule of telling."""
    settled = settle(board, np.array([row]), np.array([level], np.int8), np.ones(1, bool), now_micros)
    return settled.board, bool(settled.told[0])


def _outcome(settled: Settled, tables: Tables, positions: Positions, counts: Counts) -> Outcome:
    board, rows = settled.board, settled.rows
    limits = tables.limits_of(board, rows)
    return Outcome(
        board=board,
        changed=rows,
        before=settled.before,
        told=settled.told,
        expired=settled.expired,
        released=settled.released,
        unsaid=settled.unsaid,
        off=~tables.ground(board).active[rows],
        limits=limits,
        flip_value=flip_values(
            board.kind[rows], board.level[rows], board.last_triggered_micros[rows], limits
        ),
        position_row=positions.rows_of(board.subject_key[rows]),
        evaluated_count=counts[0],
        stale_count=counts[1],
        unknown_count=counts[2],
        unjudged_count=counts[3],
    )


def flip_values(kind: NDArray[np.int16], level: Levels, raised_micros: Integers, limits: Floats) -> Floats:
    """The value at which each level may fall; of a reminder the moment it is over, in seconds since 1970."""
    flip = flips(level, limits, signs(kind % 4))
    moments = kind == TIME_KIND
    if moments.any():
        over = raised_micros / 1_000_000 + TIME_STANDS_SECONDS
        flip = np.where(moments, np.where(level > Level.NORMAL, over, np.nan), flip)
    return flip


def _counts(board: Board, ground: Ground, beside: Beside, inputs: Inputs) -> Counts:
    judged, unjudged = ground.judged, 0
    if inputs.unread:
        asked = (board.alert_class == AlertClass.POSITION) | (board.alert_class == AlertClass.PORTFOLIO)
        left = judged & asked & np.isnan(beside.value)
        judged, unjudged = judged & ~left, int(np.count_nonzero(left))
    states = (ReadingState.STALE, ReadingState.UNKNOWN)
    stale, unknown = (int(np.count_nonzero(judged & (beside.state == state))) for state in states)
    return int(np.count_nonzero(judged)), stale, unknown, unjudged
