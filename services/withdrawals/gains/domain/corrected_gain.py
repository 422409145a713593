"""The gain that samples show: what a position changed by that no flow explains.

g(t) = U(t) - U(b) - deposits(b, t] + withdrawals(b, t], b the first sample at or after the
reference. Whole smallest units throughout: exact, whatever the number of flows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import numpy as np

from services.withdrawals.gains.domain.exact import UnitScale, exact_micros
from services.withdrawals.gains.domain.flows import Flow, FlowKind, Holding
from services.withdrawals.gains.domain.matching import FlowState, PlacedFlow
from services.withdrawals.gains.domain.references import Reference
from services.withdrawals.gains.domain.samples import Floats, Micros, SampleColumns, Units
from shared.errors import invalid


@dataclass(frozen=True, slots=True, eq=False)
class GainSeries:
    """A holding from its base sample on, row by row: smallest units, microseconds since 1970.

    `corrected_units` is the base's units plus the gain: the position as if nothing had been moved.
    """

    holding: Holding
    time_micros: Micros
    units: Units
    gain_units: Units
    price_usd: Floats

    @property
    def corrected_units(self) -> Units:
        corrected: Units = self.units[0] + self.gain_units
        return corrected


@dataclass(frozen=True, slots=True)
class FlowSums:
    """Tokens that moved after the base instant. Sampled: up to the last sample, by placement.

    `taken_units`: withdrawals whose own time is after the base, sampled or pending.
    """

    deposit_units: Decimal = Decimal(0)
    withdrawal_units: Decimal = Decimal(0)
    pending_deposit_units: Decimal = Decimal(0)
    pending_withdrawal_units: Decimal = Decimal(0)
    taken_units: Decimal = Decimal(0)


NOTHING_MOVED = FlowSums()


def base_row(samples: SampleColumns, reference: Reference) -> int | None:
    """Row of the first sample at or after t0; None: no reference, or no sample since."""
    if reference.time is None:
        return None
    row = int(np.searchsorted(samples.time_micros, exact_micros(reference.time)))
    return row if row < len(samples) else None


def corrected_gain(
    holding: Holding,
    samples: SampleColumns,
    base: int,
    placed: Sequence[PlacedFlow],
    scale: UnitScale,
) -> GainSeries:
    """The gain at every sample from row `base` on. InvalidArgument: flows past the range."""
    count = len(samples)
    net = np.zeros(count + 1, np.int64)
    smallest = [scale.smallest(one.flow.units) for one in placed]
    if sum(smallest) > 2**62:
        raise invalid("flows", "together at most 2^62 of the smallest unit")
    for one, units in zip(placed, smallest, strict=True):
        net[one.row] += one.flow.sign * units
    moved = np.cumsum(net[:count])[base:]
    held = samples.units[base:]
    gain = held - held[0] - (moved - moved[0])
    return GainSeries(holding, samples.time_micros[base:], held, gain, samples.price_usd[base:])


def flow_sums(placed: Sequence[PlacedFlow], base: int, base_micros: int) -> FlowSums:
    """What moved after the base at row `base` and instant `base_micros`, in tokens."""
    sampled = {FlowKind.DEPOSIT: Decimal(0), FlowKind.WITHDRAWAL: Decimal(0)}
    pending = dict(sampled)
    taken = Decimal(0)
    for one in placed:
        kind, units = one.flow.kind, one.flow.units
        if one.state is FlowState.PENDING:
            pending[kind] += units
        elif one.row > base:
            sampled[kind] += units
        if kind is FlowKind.WITHDRAWAL and one.flow.time_micros > base_micros:
            taken += units
    return FlowSums(
        sampled[FlowKind.DEPOSIT],
        sampled[FlowKind.WITHDRAWAL],
        pending[FlowKind.DEPOSIT],
        pending[FlowKind.WITHDRAWAL],
        taken,
    )


def sums_since(flows: Sequence[Flow], base: datetime) -> FlowSums:
    """What moved after a base that is no sample: all of it is in the gain by flows."""
    moved = {
        kind: sum((one.units for one in flows if one.kind is kind and one.time > base), Decimal(0))
        for kind in FlowKind
    }
    taken = moved[FlowKind.WITHDRAWAL]
    return FlowSums(moved[FlowKind.DEPOSIT], taken, taken_units=taken)
