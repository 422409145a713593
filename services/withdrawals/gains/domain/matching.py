"""Which interval between samples a flow belongs to: the one of its time, or a later one that shows
the change (the venue's lag).

Flows of one instant are one group. Groups become visible in order of time, so of an interval's
groups the last ones are those that may show later. What is not certain stays where its time is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from services.withdrawals.gains.domain.exact import UnitScale, span_micros
from services.withdrawals.gains.domain.flows import Flow
from services.withdrawals.gains.domain.samples import ABSENT_UNITS, SampleColumns

DEFAULT_FLOW_LAG = timedelta(hours=1)
# A change explains a flow when it is off by at most this share of it,
MATCH_RATIO = 0.02
# and by what is too little to matter, in tokens.
MATCH_TOKENS = 0.01
LAG_SAMPLES = 2
# Growth of a quiet interval varies by its median and this many scaled deviations.
_DEVIATIONS = 6 * 1.4826
# Where no quiet interval tells the growth it is at most 100 % a year; where they do, a change of
# more than ten times that is no growth.
_USUAL_GROWTH_A_MICRO = 1 / (365 * 86_400 * 1_000_000)
_MAX_GROWTH_A_MICRO = 10 * _USUAL_GROWTH_A_MICRO


class FlowState(StrEnum):
    """How a flow was matched to the samples."""

    # In the interval of its time.
    IN_TIME = "IN_TIME"
    # In a later interval, whose change shows it.
    LAGGED = "LAGGED"
    # Not shown by a sample yet: after the last one, or before it with the lag still running.
    PENDING = "PENDING"
    # No change explains it: it stays in the interval of its time, and is said.
    UNMATCHED = "UNMATCHED"


@dataclass(frozen=True, slots=True)
class PlacedFlow:
    """A flow and the sample that first holds it: row k of the holding's samples, after row k - 1.

    0: it was there at the first sample; the number of samples: PENDING.
    """

    flow: Flow
    row: int
    state: FlowState


@dataclass(slots=True)
class _Group:
    """Flows of one instant: `net` in smallest units, `own` the row that their time gives; net
    receipts, None where one tells none.
    """

    time: int
    own: int
    net: int = 0
    net_receipts: int | None = 0
    flows: list[Flow] = field(default_factory=list)

    def add(self, flow: Flow, scale: UnitScale) -> None:
        self.flows.append(flow)
        self.net += flow.sign * scale.smallest(flow.units)
        if flow.receipt_units is None:
            self.net_receipts = None
        elif self.net_receipts is not None:
            self.net_receipts += flow.sign * scale.smallest(flow.receipt_units)


class _Change(NamedTuple):
    """Smallest units that came by flows in an interval, and how far they may be off.

    `rate`: where receipts were compared, the exchange rate by which.
    """

    units: float
    noise: float
    rate: float | None = None

    def off(self, groups: Iterable[_Group]) -> float:
        """By how much these groups do not explain it, >= 0."""
        return abs(self.units - sum(map(self._worth, groups)))

    def _worth(self, group: _Group) -> float:
        if self.rate is None or group.net_receipts is None:
            return group.net
        return group.net_receipts * self.rate


def place_flows(
    flows: Sequence[Flow],
    samples: SampleColumns,
    scale: UnitScale,
    lag: timedelta = DEFAULT_FLOW_LAG,
) -> tuple[PlacedFlow, ...]:
    """Every flow of one holding in its interval of the holding's samples, ascending by time."""
    groups = _grouped(flows, samples, scale)
    placing = _Placing(samples, scale, span_micros(lag), {group.own for group in groups})
    own: dict[int, list[_Group]] = {}
    for group in groups:
        own.setdefault(group.own, []).append(group)
    rows = sorted({row + more for row in own for more in range(LAG_SAMPLES + 1)})
    for row in rows:
        if row < len(samples):
            placing.place(row, own.get(row, []))
    placing.finish(own.get(len(samples), []))
    return tuple(
        sorted(
            placing.placed,
            key=lambda one: (one.flow.time_micros, one.flow.identity, one.flow.units),
        )
    )


def _grouped(flows: Sequence[Flow], samples: SampleColumns, scale: UnitScale) -> list[_Group]:
    groups: dict[int, _Group] = {}
    for flow in flows:
        moment = flow.time_micros
        group = groups.get(moment)
        if group is None:
            # A flow on the instant of a sample is in that sample.
            row = int(np.searchsorted(samples.time_micros, moment))
            group = groups[moment] = _Group(moment, row)
        group.add(flow, scale)
    return [groups[moment] for moment in sorted(groups)]


class _Placing:
    """Walks the rows that flows may show in; `waiting`: groups that no row has shown yet."""

    def __init__(
        self, samples: SampleColumns, scale: UnitScale, lag: int, busy_rows: set[int]
    ) -> None:
        self.placed: list[PlacedFlow] = []
        self._samples = samples
        self._lag = lag
        self._floor = MATCH_TOKENS * 10**scale.decimals
        self._growth, self._spread = _quiet_growth(samples, busy_rows)
        self._waiting: list[_Group] = []

    def place(self, row: int, own: list[_Group]) -> None:
        """The groups that show in this row; the others wait or are given up."""
        self._expire(row)
        if row == 0:
            # What was there at the first sample is neutral, unless the change shows after it.
            self._waiting = [group for group in own if self._may_show(group, 1)]
            self._settle([group for group in own if group not in self._waiting], row)
        elif self._waiting or own:
            self._split(row, own)

    def finish(self, after: list[_Group]) -> None:
        """What waits at the last sample is pending; what the first sample may hold is not."""
        end = len(self._samples)
        self._expire(end)
        for group in self._waiting:
            self._put(group, *((0, FlowState.IN_TIME) if group.own == 0 else _pending(end)))
        for group in after:
            self._put(group, *_pending(end))

    def _expire(self, row: int) -> None:
        for group in self._waiting:
            if not self._may_show(group, row):
                self._give_up(group)
        self._waiting = [group for group in self._waiting if self._may_show(group, row)]

    def _may_show(self, group: _Group, row: int) -> bool:
        """At most two samples later, in an interval that begins before the lag is over."""
        if row > group.own + LAG_SAMPLES or not len(self._samples):
            return False
        return int(self._samples.time_micros[row - 1]) < group.time + self._lag

    def _split(self, row: int, own: list[_Group]) -> None:
        """Takes the groups that the row's change explains: the first choice that does so within
        the noise, else the best one within the ratio.
        """
        queue = [*self._waiting, *own]
        change = self._change(row)
        limit = change.noise + MATCH_RATIO * max(abs(group.net) for group in queue)
        choices = []
        for order, (shown, later) in enumerate(self._choices(row, own)):
            off = change.off(shown)
            if off <= limit:
                rank = (False, order) if off <= change.noise else (True, off)
                choices.append((rank, shown, later))
        if choices:
            _, shown, later = min(choices, key=lambda choice: choice[0])
            self._settle(shown, row)
            for group in self._waiting:
                if group not in shown and group not in later:
                    self._give_up(group)
            self._waiting = later
        else:
            for group in own:
                self._put(group, row, FlowState.UNMATCHED)

    def _choices(self, row: int, own: list[_Group]) -> Iterator[tuple[list[_Group], list[_Group]]]:
        """Groups that show in this row and groups that wait on: the ordinary case first. Of those
        before the first sample the earliest may be in that one: they are in neither.
        """
        unproved = sum(group.own == 0 for group in self._waiting)
        if unproved == len(self._waiting):
            yield own, self._waiting
        queue = [*self._waiting, *own]
        for start in range(unproved + 1):
            for stop in range(len(queue), start - 1, -1):
                if all(self._may_show(group, row + 1) for group in queue[stop:]):
                    yield queue[start:stop], queue[stop:]

    def _change(self, row: int) -> _Change:
        """Receipt tokens change by flows alone; of units the growth of quiet intervals is taken
        off.
        """
        samples = self._samples
        before, after = int(samples.receipt_units[row - 1]), int(samples.receipt_units[row])
        rate = float(samples.exchange_rate[row])
        if ABSENT_UNITS not in {before, after} and not np.isnan(rate):
            return _Change((after - before) * rate, self._floor, rate)
        span = float(samples.time_micros[row] - samples.time_micros[row - 1])
        held = float(samples.units[row - 1]) * span
        change = float(samples.units[row] - samples.units[row - 1])
        return _Change(change - self._growth * held, self._floor + self._spread * held)

    def _settle(self, groups: list[_Group], row: int) -> None:
        for group in groups:
            self._put(group, row, FlowState.IN_TIME if group.own == row else FlowState.LAGGED)

    def _give_up(self, group: _Group) -> None:
        state = FlowState.IN_TIME if group.own == 0 else FlowState.UNMATCHED
        self._put(group, group.own, state)

    def _put(self, group: _Group, row: int, state: FlowState) -> None:
        self.placed += [PlacedFlow(flow, row, state) for flow in group.flows]


def _pending(end: int) -> tuple[int, FlowState]:
    return end, FlowState.PENDING


def _quiet_growth(samples: SampleColumns, busy_rows: set[int]) -> tuple[float, float]:
    """Growth a microsecond of a unit held, and how far it may be off, by intervals without flows.

    Median and median absolute deviation: one missing flow among them changes neither.
    """
    quiet = samples.units[:-1] > 0
    busy = [row + more - 1 for row in busy_rows for more in range(LAG_SAMPLES + 1)]
    quiet[[row for row in busy if 0 <= row < len(quiet)]] = False
    if not quiet.any():
        return 0.0, _USUAL_GROWTH_A_MICRO
    held = samples.units[:-1][quiet] * np.diff(samples.time_micros)[quiet].astype(np.float64)
    growth = np.diff(samples.units)[quiet] / held
    median = float(np.median(growth))
    deviation = float(np.median(np.abs(growth - median)))
    spread = min(abs(median) + _DEVIATIONS * deviation, _MAX_GROWTH_A_MICRO)
    return max(-spread, min(spread, median)), spread
