"""What is known now about positions, portfolio and prices, laid beside the alerts. Judges nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.alerts.domain.board import Board, Readings
from services.alerts.domain.kinds import (
    KIND_COUNT,
    METRICS,
    OF_POSITIONS,
    AlertClass,
    AlertType,
    Condition,
    ReadingState,
    kind_of,
    parts_of,
)

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# Numbers of positions' Status and Flag.
HELD = (1, 2)
_ACTIVE = 1
_MARK_STALE_BIT = 1 << 5
_DEMO_BIT = 1 << 7

FIGURES = (
    "entry_price_usd",
    "mark_price_usd",
    "risk_liquidation_price_usd",
    "size_usd",
    "pnl_usd",
    "pnl_after_fees_usd",
    "travel_percent",
    "liquidation_distance_usd",
    "liquidation_distance_percent",
    "heat_index",
    "liquidation_probability",
)


@dataclass(frozen=True, slots=True)
class Positions:
    """Columns of ACTIVE and STALE positions by key; NaN is absent, `figures` are named as FIGURES."""

    membership_epoch: int
    position_key: Integers
    status: Integers
    flag_bits: Integers
    observed_micros: Integers
    figures: Mapping[str, Floats]

    def __len__(self) -> int:
        return len(self.position_key)

    @property
    def stale(self) -> NDArray[np.bool_]:
        """A position missing from its venue's last answer is stale whatever its mark says."""
        old: NDArray[np.bool_] = (self.flag_bits & _MARK_STALE_BIT != 0) | (self.status != _ACTIVE)
        return old

    @property
    def are_doubtful(self) -> bool:
        """Whether a sum over them rests on an old mark: it must not lower anything."""
        return bool(self.stale.any())

    @property
    def is_demo(self) -> bool | None:
        """Whether simulated; None when nothing is held."""
        return bool((self.flag_bits & _DEMO_BIT != 0).any()) if len(self) else None

    def metric(self, alert_type: AlertType) -> Floats:
        """Values of one type; profit is after fees where the venue says so."""
        if alert_type is AlertType.PROFIT:
            after = self.figures["pnl_after_fees_usd"]
            return np.where(np.isnan(after), self.figures["pnl_usd"], after)
        return self.figures[METRICS[alert_type].name]


_NO_NUMBERS = np.empty(0, np.int64)
NOTHING_HELD = Positions(
    0, _NO_NUMBERS, _NO_NUMBERS, _NO_NUMBERS, _NO_NUMBERS, {name: np.empty(0) for name in FIGURES}
)


@dataclass(frozen=True, slots=True)
class Single:
    """One reading; None is absent."""

    value: float | None
    observed_micros: int
    stale: bool = False


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything an evaluation reads. An asset that is not in `prices` was not asked for.

    Ages are by `now_micros`; cooldowns and holds by `steady_micros`, which no step of the clock moves.
    """

    positions: Positions
    totals: Mapping[AlertType, Single]
    prices: Mapping[str, Single]
    now_micros: int
    steady_micros: int


@dataclass(frozen=True, slots=True)
class Beside:
    """Readings row by row of the board: `value` as judged, infinite where nothing is held."""

    value: Floats
    observed_micros: Integers
    state: NDArray[np.int8]
    position_row: Integers


def lay(board: Board, inputs: Inputs) -> Beside:
    """Each alert's reading. One that is absent keeps the last value and time, marked UNKNOWN."""
    count = len(board)
    beside = Beside(
        np.full(count, np.nan),
        np.zeros(count, np.int64),
        np.full(count, ReadingState.UNKNOWN, np.int8),
        np.full(count, -1),
    )
    classes = board.alert_class
    _lay_positions(board, inputs.positions, np.flatnonzero(classes == AlertClass.POSITION), beside)
    doubtful = inputs.positions.are_doubtful
    for row in np.flatnonzero(classes == AlertClass.PORTFOLIO).tolist():
        _lay_single(beside, row, _portfolio(board, inputs, row), stale=doubtful)
    for row in np.flatnonzero(classes == AlertClass.MARKET).tolist():
        single = inputs.prices.get(board.assets[board.asset_key[row]])
        known = not np.isnan(board.readings.value[row])
        _lay_single(beside, row, single)
        if single is None and known:
            beside.state[row] = ReadingState.STALE
    return beside


def kept(board: Board, beside: Beside, falling: NDArray[np.int8]) -> Readings:
    """What is remembered of an evaluation: the reading, or where it was absent the last one there was."""
    judged = ~np.isnan(beside.value)
    return Readings(
        np.where(judged, np.where(np.isinf(beside.value), np.nan, beside.value), board.readings.value),
        np.where(judged, beside.observed_micros, board.readings.observed_micros),
        beside.state,
        falling,
    )


def _lay_positions(board: Board, positions: Positions, rows: Integers, beside: Beside) -> None:
    if not len(positions) or not len(rows):
        return
    wanted = board.subject_key[rows]
    place = np.searchsorted(positions.position_key, wanted).clip(max=len(positions) - 1)
    found = positions.position_key[place] == wanted
    rows, place = rows[found], place[found]
    table = np.stack([positions.metric(kind) for kind in OF_POSITIONS])
    value = table[_METRIC_ROW[board.kind[rows]], place]
    beside.value[rows] = value
    beside.observed_micros[rows] = positions.observed_micros[place]
    state = np.where(positions.stale[place], ReadingState.STALE, ReadingState.FRESH)
    beside.state[rows] = np.where(np.isnan(value), ReadingState.UNKNOWN, state)
    beside.position_row[rows] = place


def _portfolio(board: Board, inputs: Inputs, row: int) -> Single | None:
    alert_type, condition = parts_of(int(board.kind[row]))
    single = inputs.totals.get(alert_type)
    if len(inputs.positions):
        return single
    # Nothing is held: that is known, and known now; an average over nothing endangers nothing.
    safest = -math.inf if condition is Condition.ABOVE else math.inf
    value = None if single is None else single.value
    return Single(safest if value is None else value, inputs.now_micros)


def _lay_single(beside: Beside, row: int, single: Single | None, *, stale: bool = False) -> None:
    if single is None or single.value is None:
        return
    beside.value[row] = single.value
    beside.observed_micros[row] = single.observed_micros
    beside.state[row] = ReadingState.STALE if stale or single.stale else ReadingState.FRESH


# Row of the table of metrics by kind.
_METRIC_ROW = np.zeros(KIND_COUNT, np.int64)
for _row, _type in enumerate(OF_POSITIONS):
    for _condition in Condition:
        _METRIC_ROW[kind_of(_type, _condition)] = _row
