"""The gain by flows alone: receipt tokens at the exchange rate, no sample of units needed.

g = q(t) * rate(t) - q(b) * rate(b) - net flows, every flow at its own receipts and rate, so that
nothing of it stands on the amounts by which samples are corrected.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, localcontext
from enum import StrEnum

from services.withdrawals.gains.domain.exact import EXACT, exact_micros
from services.withdrawals.gains.domain.flows import Flow
from services.withdrawals.gains.domain.references import Reference


class Lack(StrEnum):
    """What the gain by flows needs and does not have."""

    # The flows do not reach back to the holding's first transaction.
    HISTORY_NOT_WHOLE = "HISTORY_NOT_WHOLE"
    FLOW_WITHOUT_RECEIPTS = "FLOW_WITHOUT_RECEIPTS"
    NO_RATE_AT_BASE = "NO_RATE_AT_BASE"
    NO_RATE_AT_END = "NO_RATE_AT_END"
    # A part of the time since the base was not asked for: a deposit there would look like a gain.
    NOT_COVERED = "NOT_COVERED"


@dataclass(frozen=True, slots=True)
class RatePoint:
    """The exchange rate of a market at a moment: tokens a receipt token, > 0."""

    time: datetime
    exchange_rate: Decimal


@dataclass(frozen=True, slots=True)
class FlowCoverage:
    """How much of a holding's flows is known.

    `whole`: every transaction since its first one. `since`, `until`: the window that was read
    without a failure, None where nobody says that rows are missing. Read flows after samples, else
    the last sample lies outside.
    """

    whole: bool = False
    since: datetime | None = None
    until: datetime | None = None

    def covers(self, base: datetime, end: datetime) -> bool:
        late = self.since is not None and self.since > base
        return not late and (self.until is None or self.until >= end)


NOT_STATED = FlowCoverage()


@dataclass(frozen=True, slots=True)
class GainByFlows:
    """Gain in tokens from base to end; receipts and rates at both."""

    base_time: datetime
    end_time: datetime
    base_receipt_units: Decimal
    end_receipt_units: Decimal
    base_exchange_rate: Decimal
    end_exchange_rate: Decimal
    gain_units: Decimal

    @property
    def base_units(self) -> Decimal:
        """Tokens that the receipts were worth at the base."""
        return EXACT.multiply(self.base_receipt_units, self.base_exchange_rate)

    @property
    def position_units(self) -> Decimal:
        """Tokens that the receipts are worth at the end."""
        return EXACT.multiply(self.end_receipt_units, self.end_exchange_rate)


def gain_by_flows(
    before: Iterable[Flow], between: Iterable[Flow], base: RatePoint, end: RatePoint
) -> GainByFlows:
    """The gain of flows held at the base and flows after it up to the end.

    Every flow has receipts and a rate (`lacks_of` says where one has not).
    """
    with localcontext(EXACT):
        held_base = held_end = sum((_receipts(flow) for flow in before), Decimal(0))
        net = Decimal(0)
        for flow in between:
            receipts = _receipts(flow)
            held_end += receipts
            net += receipts * (flow.exchange_rate or Decimal(0))
        gain = held_end * end.exchange_rate - held_base * base.exchange_rate - net
    return GainByFlows(
        base.time, end.time, held_base, held_end, base.exchange_rate, end.exchange_rate, gain
    )


def lacks_of(flows: Sequence[Flow], coverage: FlowCoverage) -> list[Lack]:
    """What is missing in the rows themselves, in the order they took effect: receipts, rates, the
    history from zero.
    """
    lacks = []
    is_told = not any(flow.receipt_units is None or flow.exchange_rate is None for flow in flows)
    if not coverage.whole or (is_told and _burns_what_was_not_minted(flows)):
        lacks.append(Lack.HISTORY_NOT_WHOLE)
    if not is_told:
        lacks.append(Lack.FLOW_WITHOUT_RECEIPTS)
    return lacks


def _burns_what_was_not_minted(flows: Sequence[Flow]) -> bool:
    """Whether the beginning is missing; a venue's rounding may leave a millionth below zero."""
    held = Decimal(0)
    for flow in flows:
        held += _receipts(flow)
        if held < -abs(_receipts(flow)) * _ROUNDING_SHARE:
            return True
    return False


_ROUNDING_SHARE = Decimal("1e-6")


def known_rates(flows: Iterable[Flow], points: Iterable[RatePoint]) -> dict[int, Decimal]:
    """The rate at every instant (microseconds) of a transaction or a point; the point's goes
    first, of transactions the one with the lowest id.
    """
    found: dict[int, Decimal] = {}
    for flow in sorted(flows, key=lambda one: one.identity, reverse=True):
        if flow.exchange_rate is not None:
            found[flow.time_micros] = flow.exchange_rate
    for point in points:
        found[exact_micros(point.time, "rate.time")] = point.exchange_rate
    return found


def gain_without_samples(
    flows: Sequence[Flow],
    points: Sequence[RatePoint],
    reference: Reference,
    coverage: FlowCoverage,
) -> tuple[GainByFlows | None, tuple[Lack, ...]]:
    """From the first instant with a rate at or after t0 to the last one; None with what is
    missing. The reference has a time.
    """
    start = exact_micros(reference.time) if reference.time is not None else 0
    by_instant = {exact_micros(point.time): point.time for point in points}
    by_instant |= {flow.time_micros: flow.time for flow in flows}
    rates = known_rates(flows, points)
    instants = sorted(moment for moment in rates if moment >= start)
    lacks = lacks_of(sorted(flows, key=lambda one: (one.time, -one.sign)), coverage)
    if not instants:
        return None, (*lacks, Lack.NO_RATE_AT_BASE)
    base, end = (
        RatePoint(by_instant[moment], rates[moment]) for moment in (instants[0], instants[-1])
    )
    if not coverage.covers(base.time, end.time):
        lacks.append(Lack.NOT_COVERED)
    if lacks or not flows:
        return None, tuple(lacks) or (Lack.HISTORY_NOT_WHOLE,)
    before = [flow for flow in flows if flow.time_micros <= instants[0]]
    between = [flow for flow in flows if instants[0] < flow.time_micros <= instants[-1]]
    return gain_by_flows(before, between, base, end), ()


def _receipts(flow: Flow) -> Decimal:
    return flow.sign * (flow.receipt_units or Decimal(0))
