"""Readings aligned with the alerts, row by row, and the order they were observed in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from services.alerts.alerts.domain.accounts import AT_WORST, Accounts
from services.alerts.alerts.domain.alert_columns import AlertColumns, Readings
from services.alerts.alerts.domain.doubt import Doubt, doubt_of
from services.alerts.alerts.domain.readings import (
    READ_FROM_POSITIONS,
    Inputs,
    Positions,
    Reading,
)
from services.alerts.domain.kinds import (
    METRICS,
    OF_ACCOUNTS,
    OF_POSITIONS,
    TIME_KIND,
    TIME_STANDS_SECONDS,
    AlertClass,
    AlertType,
    Condition,
    ReadingState,
    parts_of,
    type_number,
)

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Places = Integers | slice
_NO_NUMBERS = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class AlignedReadings:
    """Readings row by row of the alerts: `value` as judged, infinite where nothing is held.
    `worst`: of rows that rest on something doubtful what their value could be at worst.
    """

    value: Floats
    observed_micros: Integers
    state: NDArray[np.int8]
    worst: dict[int, float] = field(default_factory=dict)

    def pick(self, rows: Integers) -> AlignedReadings:
        return AlignedReadings(self.value[rows], self.observed_micros[rows], self.state[rows])


@dataclass(frozen=True, slots=True)
class _IndexEntry:
    """Rows of the alerts that read one metric, and the rows of positions they read it from."""

    type: AlertType
    rows: Places
    position_rows: Places


@dataclass(frozen=True, slots=True)
class PositionPlaces:
    """Alerts whose position is held with the rows of positions they read, and rows of the others;
    the same while the same positions are held.
    """

    position_key: Integers
    entries: Sequence[_IndexEntry]
    not_held: Integers

    def holds_for(self, positions: Positions) -> bool:
        """Whether they are the same positions."""
        return np.array_equal(self.position_key, positions.position_key)


class ReadingIndex:
    """Which alerts read what. Made once for the same alerts: their kinds and subjects count."""

    def __init__(self, columns: AlertColumns) -> None:
        classes = columns.alert_class
        types = np.where(classes == AlertClass.POSITION, type_number(columns.kind), 0)
        self.accounts = np.flatnonzero(classes == AlertClass.ACCOUNT)
        self.portfolio = np.flatnonzero(classes == AlertClass.PORTFOLIO).tolist()
        self.market = np.flatnonzero(classes == AlertClass.MARKET).tolist()
        self.moments = np.flatnonzero(columns.kind == TIME_KIND).tolist()
        self._subject_key = columns.subject_key
        self._rows = {
            kind: _run(rows) for kind in OF_POSITIONS if len(rows := np.flatnonzero(types == kind))
        }

    def places(self, positions: Positions) -> PositionPlaces:
        """Where these alerts read."""
        entries, missing = [], [_NO_NUMBERS]
        for kind, rows in self._rows.items():
            place = positions.rows_of(self._subject_key[rows])
            here = place >= 0
            if not here.all():
                numbers = np.arange(rows.start, rows.stop) if isinstance(rows, slice) else rows
                missing.append(numbers[~here])
                rows, place = _run(numbers[here]), place[here]
            entries.append(_IndexEntry(kind, rows, _run(place)))
        return PositionPlaces(positions.position_key, entries, np.concatenate(missing))


def _run(places: Integers) -> Places:
    """A slice for places without a gap: reading it copies nothing."""
    if len(places) and bool((np.diff(places) == 1).all()):
        return slice(int(places[0]), int(places[-1]) + 1)
    return places


def align(
    columns: AlertColumns, inputs: Inputs, reading_index: ReadingIndex, places: PositionPlaces
) -> AlignedReadings:
    """Each alert's reading. One that is absent keeps the last value and time, marked UNKNOWN."""
    count = len(columns)
    aligned = AlignedReadings(
        np.full(count, np.nan),
        np.zeros(count, np.int64),
        np.full(count, ReadingState.UNKNOWN, np.int8),
    )
    _align_positions(inputs.positions, places, aligned)
    _align_accounts(inputs.positions.accounts, columns, reading_index.accounts, aligned)
    if inputs.unread:
        held = np.isin(columns.alert_class, READ_FROM_POSITIONS)
        aligned.state[held & ~np.isnan(columns.readings.value)] = ReadingState.STALE
    doubt = doubt_of(inputs.positions, inputs.now_micros)
    for row in reading_index.portfolio:
        _align_portfolio(aligned, row, columns, inputs, doubt)
    for row in reading_index.market:
        reading = inputs.prices.get(columns.assets[columns.asset_key[row]])
        known = not np.isnan(columns.readings.value[row])
        _align_reading(aligned, row, _moved(columns, row, reading))
        if reading is None and known:
            aligned.state[row] = ReadingState.STALE
    for row in reading_index.moments:
        _align_reading(aligned, row, _clock(columns, row, inputs))
    return aligned


def unstarted(
    columns: AlertColumns, inputs: Inputs, reading_index: ReadingIndex
) -> dict[int, float]:
    """Rows of price changes without a start, and the fresh price each starts from now."""
    found = {}
    for row in reading_index.market:
        if type_number(columns.kind[row]) == AlertType.DELTA_CHANGE and np.isnan(
            columns.starting_value[row]
        ):
            reading = inputs.prices.get(columns.assets[columns.asset_key[row]])
            if (
                reading is not None
                and reading.value
                and not reading.stale
                and reading.observed_micros
            ):
                found[row] = reading.value
    return found


def _moved(columns: AlertColumns, row: int, reading: Reading | None) -> Reading | None:
    """The price, or of a DELTA_CHANGE how far it is from its start, in percent of it."""
    if (
        reading is None
        or reading.value is None
        or type_number(columns.kind[row]) != AlertType.DELTA_CHANGE
    ):
        return reading
    start = float(columns.starting_value[row])
    change = None if math.isnan(start) else 100 * (reading.value - start) / start
    return replace(reading, value=change)


def _clock(columns: AlertColumns, row: int, inputs: Inputs) -> Reading:
    """The moment of now, in seconds since 1970, while a reminder stands; else it is known to be of
    no danger.

    It stands from its moment until an hour after it was raised: one of an outage comes late.
    """
    now, due = inputs.guarded_micros, float(columns.trigger_value[row]) * 1_000_000
    raised = int(columns.last_triggered_micros[row])
    is_over = raised >= due and now >= raised + TIME_STANDS_SECONDS * 1_000_000
    stands = now >= due and not is_over
    return Reading(now / 1_000_000 if stands else -math.inf, inputs.now_micros)


@dataclass(frozen=True, slots=True)
class Order:
    """Of each reading: whether no level was judged by it yet, and whether a later one is known."""

    new: NDArray[np.bool_]
    older: NDArray[np.bool_]

    def pick(self, rows: Integers) -> Order:
        return Order(self.new[rows], self.older[rows])


def ordered(last: Readings, aligned: AlignedReadings, now_micros: int) -> Order:
    """By the times of observation. One without a time is never new; a last one of the future, left
    by a clock that was ahead, holds nothing up.
    """
    seen, before = aligned.observed_micros, last.observed_micros
    known, ahead = ~np.isnan(aligned.value), before > now_micros
    later = (seen > before) | ((seen == before) & ~last.judged) | (ahead & (seen != before))
    return Order(known & (seen > 0) & later, known & (seen < before) & ~ahead)


def kept(
    columns: AlertColumns,
    aligned: AlignedReadings,
    falling: NDArray[np.int8],
    past: NDArray[np.bool_],
) -> Readings:
    """What is remembered: the reading, or the last one there was where it was absent or `past`."""
    value, micros = aligned.value, aligned.observed_micros
    odd = np.flatnonzero(past | ~np.isfinite(value))
    if len(odd):
        absent, last = np.isnan(value[odd]) | past[odd], columns.readings.pick(odd)
        value, micros = value.copy(), micros.copy()
        value[odd] = np.where(
            absent, last.value, np.where(np.isfinite(value[odd]), value[odd], np.nan)
        )
        micros[odd] = np.where(absent, last.observed_micros, micros[odd])
    return Readings(value, micros, aligned.state, falling)


def _align_positions(
    positions: Positions, places: PositionPlaces, aligned: AlignedReadings
) -> None:
    states = np.where(positions.stale, ReadingState.STALE, ReadingState.FRESH).astype(np.int8)
    for entry in places.entries:
        value, place = positions.metric(entry.type), entry.position_rows
        aligned.value[entry.rows] = value[place]
        aligned.observed_micros[entry.rows] = positions.observed_micros[place]
        state = np.where(np.isnan(value), ReadingState.UNKNOWN, states)
        aligned.state[entry.rows] = state[place]


def _align_accounts(
    accounts: Accounts, columns: AlertColumns, rows: Integers, aligned: AlignedReadings
) -> None:
    if not len(rows):
        return
    places, types = accounts.rows_of(columns.subject_key[rows]), type_number(columns.kind[rows])
    for alert_type in OF_ACCOUNTS:
        # One that is not there any more is not known until its alerts are cleared.
        mine = (places >= 0) & (types == alert_type)
        here, place = rows[mine], places[mine]
        value = accounts.figures[METRICS[alert_type].name][place]
        state = np.where(accounts.stale[place], ReadingState.STALE, ReadingState.FRESH)
        aligned.value[here] = value
        aligned.observed_micros[here] = accounts.observed_micros[place]
        aligned.state[here] = np.where(np.isnan(value), ReadingState.UNKNOWN, state)
        if accounts.at_worst:
            known = ~np.isnan(value)
            _align_at_worst(accounts, alert_type, here[known], place[known], aligned)


def _align_at_worst(
    accounts: Accounts,
    alert_type: AlertType,
    rows: Integers,
    places: Integers,
    aligned: AlignedReadings,
) -> None:
    for row, place in zip(rows.tolist(), places.tolist(), strict=True):
        worst = accounts.at_worst.get(accounts.rows[place].id)
        if worst is not None:
            aligned.worst[row] = worst[AT_WORST.index(METRICS[alert_type].name)]
            aligned.state[row] = ReadingState.FRESH


def _align_portfolio(
    aligned: AlignedReadings, row: int, columns: AlertColumns, inputs: Inputs, doubt: Doubt | None
) -> None:
    """What doubtful positions could make of a total is decided with its limits: see `worst`."""
    reading = _portfolio(columns, inputs, row)
    _align_reading(aligned, row, reading, stale=inputs.unread)
    if doubt is None or reading is None or reading.value is None or inputs.unread:
        return
    if (reading.stale and not reading.stale_by_rows) or not doubt.sure_micros:
        aligned.state[row] = ReadingState.STALE
        return
    totals = {kind: one.value for kind, one in inputs.totals.items() if one.value is not None}
    worst = doubt.worst(*parts_of(int(columns.kind[row])), totals)
    aligned.worst[row] = worst
    aligned.state[row] = ReadingState.FRESH
    # An old mark that moves nothing does not make all of it old.
    aligned.observed_micros[row] = doubt.sure_micros


def _portfolio(columns: AlertColumns, inputs: Inputs, row: int) -> Reading | None:
    alert_type, condition = parts_of(int(columns.kind[row]))
    reading = inputs.totals.get(alert_type)
    # That nothing is held is not known while a wallet cannot be read.
    is_unsure = inputs.unread or (reading is not None and reading.stale)
    if len(inputs.positions) or is_unsure:
        return reading
    # Nothing is held: that is known, and known now; an average over nothing endangers nothing.
    safest = -math.inf if condition is Condition.ABOVE else math.inf
    value = None if reading is None else reading.value
    return Reading(safest if value is None else value, inputs.now_micros)


def _align_reading(
    aligned: AlignedReadings, row: int, reading: Reading | None, *, stale: bool = False
) -> None:
    if reading is None or reading.value is None:
        return
    aligned.value[row] = reading.value
    aligned.observed_micros[row] = reading.observed_micros
    aligned.state[row] = ReadingState.STALE if stale or reading.stale else ReadingState.FRESH
