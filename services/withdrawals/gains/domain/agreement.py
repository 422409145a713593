"""Whether the two gains agree, and which row is at fault where they do not.

Every row states one amount twice (units, and receipts times rate), and receipts change by
transactions alone: so one wrong row can be named.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from services.withdrawals.gains.domain.exact import EXACT, UnitScale, decimal_of, utc_moment
from services.withdrawals.gains.domain.flow_gain import (
    FlowCoverage,
    GainByFlows,
    Lack,
    RatePoint,
    gain_by_flows,
    known_rates,
    lacks_of,
)
from services.withdrawals.gains.domain.flows import Flow, FlowIdentity
from services.withdrawals.gains.domain.matching import FlowState, PlacedFlow
from services.withdrawals.gains.domain.samples import ABSENT_UNITS, SampleColumns

# Two gains, or two statements of one amount, agree within 0.01 tokens and 0.1 % of the gain.
AGREE_UNITS = Decimal("0.01")
AGREE_RATIO = Decimal("0.001")
# A row's two statements are made moments apart at a venue: a large position grows meanwhile. Of a
# row that makes no difference to the gains this share is let pass.
ROW_RATIO = Decimal("0.00001")
# More faults than these tell nothing new.
MAX_FAULTS = 20


class Agreement(StrEnum):
    """What comparing the two gains said."""

    AGREE = "AGREE"
    DISAGREE = "DISAGREE"
    # The gain by flows cannot be had: the check's lacks say why.
    INCOMPLETE = "INCOMPLETE"
    # No sample to compare with: the gain by flows serves alone.
    FLOWS_ALONE = "FLOWS_ALONE"


class Fault(StrEnum):
    """What is wrong with a row."""

    # Its units are not its receipts times its rate.
    FLOW_CONTRADICTS_ITSELF = "FLOW_CONTRADICTS_ITSELF"
    SAMPLE_CONTRADICTS_ITSELF = "SAMPLE_CONTRADICTS_ITSELF"
    # No change of the position explains it.
    FLOW_UNMATCHED = "FLOW_UNMATCHED"
    # One sample alone is off the receipts that the flows make.
    SAMPLE_OUT_OF_LINE = "SAMPLE_OUT_OF_LINE"
    # Receipt tokens came or went in the interval that ends at its time; no transaction tells.
    RECEIPTS_MOVED = "RECEIPTS_MOVED"


@dataclass(frozen=True, slots=True)
class RowFault:
    """One row at fault: a flow by its identity, else the sample of the time.

    `off_units`: tokens (receipt tokens for RECEIPTS_MOVED) by which it is off, signed.
    """

    fault: Fault
    time: datetime
    off_units: Decimal
    flow: FlowIdentity | None = None


@dataclass(frozen=True, slots=True)
class GainCheck:
    """Both gains in tokens over the same instants (None: not had), and what was found."""

    agreement: Agreement
    gain_by_samples_units: Decimal | None
    by_flows: GainByFlows | None
    lacks: tuple[Lack, ...] = ()
    faults: tuple[RowFault, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether nothing may be withdrawn on these rows. That flows tell no receipts, or not all
        since zero, is said and holds nothing: the samples' gain does not stand on it.
        """
        is_wrong = self.agreement is Agreement.DISAGREE or bool(self.faults)
        return is_wrong or Lack.NOT_COVERED in self.lacks


def tolerance_units(gain_units: Decimal) -> Decimal:
    """Tokens by which two statements may differ: 0.01 and 0.1 % of the gain."""
    return AGREE_UNITS + AGREE_RATIO * abs(gain_units)


def check_gains(
    gain_units: Decimal,
    samples: SampleColumns,
    base: int,
    placed: Sequence[PlacedFlow],
    points: Sequence[RatePoint],
    coverage: FlowCoverage,
    scale: UnitScale,
) -> GainCheck:
    """Compares the samples' gain from row `base` to the last row with that of the flows."""
    shown = [one for one in placed if one.row < len(samples)]
    # Within one interval deposits first: their true order is not known there.
    flows = [one.flow for one in sorted(shown, key=lambda one: (one.row, -one.flow.sign))]
    base_time, end_time = (utc_moment(samples.time_micros[row]) for row in (base, -1))
    base_rate, end_rate = (_rate(samples, row, flows, points) for row in (base, -1))
    lacks = lacks_of(flows, coverage)
    if base_rate is None:
        lacks.append(Lack.NO_RATE_AT_BASE)
    if end_rate is None:
        lacks.append(Lack.NO_RATE_AT_END)
    if not coverage.covers(base_time, end_time):
        lacks.append(Lack.NOT_COVERED)
    tolerance = tolerance_units(gain_units)
    finding = _Finding(samples, base, placed, tolerance, scale)
    faults = finding.faults(ROW_RATIO)
    has_moved = any(fault.fault is Fault.RECEIPTS_MOVED for fault in faults)
    if (finding.starts_off or has_moved) and Lack.HISTORY_NOT_WHOLE not in lacks:
        lacks.append(Lack.HISTORY_NOT_WHOLE)
    if lacks or base_rate is None or end_rate is None:
        return GainCheck(Agreement.INCOMPLETE, gain_units, None, tuple(lacks), faults)
    by_flows = gain_by_flows(
        [one.flow for one in shown if one.row <= base],
        [one.flow for one in shown if one.row > base],
        RatePoint(base_time, base_rate),
        RatePoint(end_time, end_rate),
    )
    if abs(by_flows.gain_units - gain_units) <= tolerance:
        return GainCheck(Agreement.AGREE, gain_units, by_flows, (), faults)
    faults = faults or finding.faults(Decimal(0))
    return GainCheck(Agreement.DISAGREE, gain_units, by_flows, (), faults)


def _rate(
    samples: SampleColumns, row: int, flows: Sequence[Flow], points: Sequence[RatePoint]
) -> Decimal | None:
    rate = float(samples.exchange_rate[row])
    if not np.isnan(rate):
        return decimal_of(rate)
    return known_rates(flows, points).get(int(samples.time_micros[row]))


def flow_faults(
    flows: Sequence[Flow], tolerance: Decimal, ratio: Decimal = ROW_RATIO
) -> list[RowFault]:
    """Flows whose amount is not their receipts times their rate, within `tolerance` tokens and
    `ratio` of it.
    """
    found = []
    for flow in flows:
        if flow.receipt_units is None or flow.exchange_rate is None:
            continue
        off = flow.units - EXACT.multiply(flow.receipt_units, flow.exchange_rate)
        if abs(off) > tolerance + ratio * flow.units:
            fault = Fault.FLOW_CONTRADICTS_ITSELF
            found.append(RowFault(fault, flow.time, off, flow.identity))
    return found


class _Finding:
    """Looks for rows at fault among a holding's samples from its base on, and its flows."""

    def __init__(
        self,
        samples: SampleColumns,
        base: int,
        placed: Sequence[PlacedFlow],
        tolerance: Decimal,
        scale: UnitScale,
    ) -> None:
        self._all_rows = len(samples)
        self._base = base
        self._samples = samples.between(base, len(samples))
        # Pending ones too: a wrong number may be why no sample shows it.
        self._flows = [one.flow for one in placed]
        self._placed = [one for one in placed if one.row < len(samples)]
        self._tolerance = tolerance
        self._scale = scale
        # Smallest units; statistics of rows, so float is enough.
        self._limit = float(tolerance) * 10**scale.decimals
        self.starts_off = False

    def faults(self, ratio: Decimal) -> tuple[RowFault, ...]:
        """Self-contradictions first; a wrong row leaves what is beside it unexplained, so that
        nothing beside it is named. `ratio` of a row's units is let pass.
        """
        flows = flow_faults(self._flows, self._tolerance, ratio)
        named = {fault.flow for fault in flows}
        limit = self._limit + float(ratio) * self._samples.units
        wrong_rows, samples = self._torn_samples(limit)
        if not flows:
            alone, steps = self._steps(wrong_rows, float(limit.max()))
            wrong_rows = np.r_[wrong_rows, alone]
            samples += steps
        beside = {one.row for one in self._placed if one.flow.identity in named}
        beside |= {int(row) + self._base + after for row in wrong_rows for after in (0, 1)}
        flows += [
            RowFault(Fault.FLOW_UNMATCHED, one.flow.time, one.flow.units, one.flow.identity)
            for one in self._placed
            if one.state is FlowState.UNMATCHED and one.row >= self._base and one.row not in beside
        ]
        return tuple((*flows, *samples)[:MAX_FAULTS])

    def _torn_samples(self, limit: NDArray[np.float64]) -> tuple[NDArray[np.int64], list[RowFault]]:
        samples = self._samples
        worth = samples.receipt_units * samples.exchange_rate
        off = np.where(samples.receipt_units == ABSENT_UNITS, np.nan, samples.units - worth)
        rows = np.flatnonzero(np.abs(off) > limit)
        return rows, [
            self._sample_fault(Fault.SAMPLE_CONTRADICTS_ITSELF, int(row), float(off[row]))
            for row in rows[:MAX_FAULTS]
        ]

    def _steps(
        self, wrong_rows: NDArray[np.int64], derived_limit: float
    ) -> tuple[list[int], list[RowFault]]:
        """Where held receipts leave the sum of the flows' receipts: a step, or one sample alone;
        the rows of the latter.
        """
        samples = self._samples
        is_told = samples.receipt_units != ABSENT_UNITS
        with np.errstate(divide="ignore", invalid="ignore"):
            told_rate = samples.units / samples.receipt_units
            rate = np.where(np.isnan(samples.exchange_rate), told_rate, samples.exchange_rate)
            held = np.where(is_told, samples.receipt_units, samples.units / rate)
        usable = np.isfinite(held) & np.isfinite(rate) & (rate > 0)
        usable[wrong_rows] = False
        rows = np.flatnonzero(usable)
        if not len(rows):
            return [], []
        limit = self._limit if is_told[rows].all() else derived_limit
        limit /= float(rate[rows].max())
        by_flows, untold = self._receipts_by_flows()
        step = np.diff((held - by_flows)[rows])
        # Beside a flow that tells no receipts nothing can be said.
        step[np.diff(untold[rows]) > 0] = 0
        off = np.cumsum(np.r_[(held - by_flows)[rows[0]], step])
        is_alone = _alone_at_start(off, limit)
        self.starts_off = bool(abs(off[0]) > limit and not is_alone and not untold.any())
        # Units that are told receipts at a told rate have been checked: such a sample is right.
        is_proved = (is_told & ~np.isnan(samples.exchange_rate))[rows]
        steps = list(_named(off, is_proved, limit))
        alone = [int(rows[at]) for fault, at, _ in steps if fault is Fault.SAMPLE_OUT_OF_LINE]
        return alone, [self._sample_fault(fault, int(rows[at]), by) for fault, at, by in steps]

    def _receipts_by_flows(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """At each row: receipts that the flows made until then, and flows that tell none."""
        net, untold = np.zeros((2, self._all_rows), np.int64)
        for one in self._placed:
            if one.flow.receipt_units is None:
                untold[one.row] += 1
            else:
                net[one.row] += one.flow.sign * self._scale.smallest(one.flow.receipt_units)
        return (
            np.cumsum(net)[self._base :].astype(np.float64),
            np.cumsum(untold)[self._base :],
        )

    def _sample_fault(self, fault: Fault, row: int, off: float) -> RowFault:
        time = utc_moment(self._samples.time_micros[row])
        return RowFault(fault, time, self._scale.tokens(round(off)))


def _alone_at_start(off: NDArray[np.float64], limit: float) -> bool:
    return len(off) > 1 and abs(off[1]) <= limit < abs(off[0])


def _named(
    off: NDArray[np.float64], is_proved: NDArray[np.bool_], limit: float
) -> Iterator[tuple[Fault, int, float]]:
    """Fault, place and amount of every step in `off`, which is flat where flows explain all.

    One unproved place alone, or the last one, is the sample; any other step is receipts that moved.
    """
    last = len(off) - 1
    skip = -1
    for step in np.flatnonzero(np.abs(np.diff(off)) > limit)[: 2 * MAX_FAULTS]:
        place = int(step) + 1
        amount = float(off[place] - off[place - 1])
        is_back = place == last or abs(off[place + 1] - off[place - 1]) <= limit
        if place == skip:
            continue
        if place == 1 and not is_proved[0] and _alone_at_start(off, limit):
            yield Fault.SAMPLE_OUT_OF_LINE, 0, -amount
        elif is_back and not is_proved[place]:
            skip = place + 1
            yield Fault.SAMPLE_OUT_OF_LINE, place, amount
        else:
            yield Fault.RECEIPTS_MOVED, place, amount
