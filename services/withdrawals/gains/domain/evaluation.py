"""What every holding of an asset gained since its reference, with all that explains it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from services.withdrawals.gains.domain.agreement import (
    Agreement,
    GainCheck,
    check_gains,
    flow_faults,
    tolerance_units,
)
from services.withdrawals.gains.domain.corrected_gain import (
    NOTHING_MOVED,
    FlowSums,
    GainSeries,
    base_row,
    corrected_gain,
    flow_sums,
    sums_since,
)
from services.withdrawals.gains.domain.exact import (
    EXACT,
    SIX_DECIMALS,
    UnitScale,
    decimal_of,
    exact_micros,
    span_micros,
    utc_moment,
)
from services.withdrawals.gains.domain.flow_gain import (
    NOT_STATED,
    FlowCoverage,
    RatePoint,
    gain_without_samples,
)
from services.withdrawals.gains.domain.flows import Flow, Holding
from services.withdrawals.gains.domain.matching import (
    DEFAULT_FLOW_LAG,
    PlacedFlow,
    place_flows,
)
from services.withdrawals.gains.domain.references import (
    NO_REFERENCE,
    NO_RULES,
    Reference,
    ReferenceEvent,
    ReferenceRules,
    choose_reference,
)
from services.withdrawals.gains.domain.samples import (
    LeftOut,
    SampleColumns,
    SupplySamples,
    clean_samples,
)
from services.withdrawals.gains.domain.total_series import DEFAULT_CARRY_AGE


class HoldingState(StrEnum):
    """What stands behind a holding's gain."""

    SAMPLED = "SAMPLED"
    # No sample since the reference: the gain by flows alone.
    BY_FLOWS = "BY_FLOWS"
    NO_REFERENCE = "NO_REFERENCE"
    # No sample since the reference and no gain by flows, or absent longer than it is carried.
    NO_DATA = "NO_DATA"


@dataclass(frozen=True, slots=True)
class GainRules:
    """`carry_age`: how long a holding absent from snapshots counts with its last sample."""

    scale: UnitScale = SIX_DECIMALS
    references: ReferenceRules = NO_RULES
    flow_lag: timedelta = DEFAULT_FLOW_LAG
    carry_age: timedelta = DEFAULT_CARRY_AGE


@dataclass(frozen=True, slots=True)
class HoldingFacts:
    """What a venue or a sync says of a holding besides its rows.

    `venue_yield_units` is the venue's own count of tokens earned: shown, never reckoned with.
    """

    coverage: FlowCoverage = NOT_STATED
    venue_yield_units: Decimal | None = None


@dataclass(frozen=True, slots=True)
class HoldingGain:
    """One holding's gain in tokens from its base to its end; None is not known, never 0.

    `base_time` is the sample the gain starts from, `end_time` the last one, `carried` how far that
    lies before the asset's last snapshot.
    """

    holding: Holding
    state: HoldingState
    reference: Reference = NO_REFERENCE
    base_time: datetime | None = None
    end_time: datetime | None = None
    base_units: Decimal | None = None
    position_units: Decimal | None = None
    gain_units: Decimal | None = None
    base_price_usd: Decimal | None = None
    carried: timedelta = timedelta(0)
    sums: FlowSums = NOTHING_MOVED
    placed: tuple[PlacedFlow, ...] = ()
    check: GainCheck | None = None
    venue_yield_units: Decimal | None = None

    @property
    def is_known(self) -> bool:
        return self.state in {HoldingState.SAMPLED, HoldingState.BY_FLOWS}

    def price_profit_usd(self, price_usd: Decimal | None) -> Decimal | None:
        """What the base's units gained by the price alone, U(b) * (p1 - p0), in USD."""
        if self.base_units is None or self.base_price_usd is None or price_usd is None:
            return None
        return EXACT.multiply(self.base_units, price_usd - self.base_price_usd)


@dataclass(frozen=True, slots=True)
class AssetGains:
    """Every holding of an asset, ascending; the price in USD of the newest sample and its time."""

    holdings: tuple[HoldingGain, ...]
    snapshot_time: datetime | None
    price_usd: Decimal | None
    left_out: LeftOut = field(compare=False, repr=False)
    series: tuple[GainSeries, ...] = field(compare=False, repr=False)

    @property
    def aggregate_gain_units(self) -> Decimal | None:
        """The sum of the known gains in tokens; None where no gain is known."""
        gains = [one.gain_units for one in self.holdings if one.gain_units is not None]
        return sum(gains, Decimal(0)) if gains else None


def evaluate_gains(
    told: SampleColumns,
    flows: Sequence[Flow],
    events: Sequence[ReferenceEvent],
    rules: GainRules,
    as_of: datetime,
    *,
    holdings: Iterable[Holding] = (),
    facts: Mapping[Holding, HoldingFacts] | None = None,
    rates: Mapping[str, Sequence[RatePoint]] | None = None,
) -> AssetGains:
    """The gains of one asset by what was known up to `as_of`, whatever the order of the rows.

    `holdings`: those wanted; none: those that have a sample or a flow. `rates`: exchange rates by
    market. InvalidArgument: a naive time, an amount out of the scale's range.
    """
    until = exact_micros(as_of, "as_of")
    samples = clean_samples(told, until)
    known: dict[Holding, list[Flow]] = {}
    for flow in flows:
        if flow.time_micros <= until:
            known.setdefault(flow.holding, []).append(flow)
    wanted = sorted(set(holdings) or {*samples.holdings, *known})
    newest = _newest(samples)
    one = _OneHolding(samples, events, rules, as_of, newest)
    found: list[HoldingGain] = []
    series: list[GainSeries] = []
    for holding in wanted:
        mine = known.get(holding, [])
        fact = (facts or {}).get(holding, HoldingFacts())
        gain, track = one.gain(holding, mine, fact, (rates or {}).get(holding.market, ()))
        found.append(gain)
        series += [] if track is None else [track]
    time = None if newest is None else utc_moment(samples.columns.time_micros[newest])
    price = None if newest is None else decimal_of(samples.columns.price_usd[newest])
    return AssetGains(tuple(found), time, price, samples.left_out, tuple(series))


def _newest(samples: SupplySamples) -> int | None:
    """Row of the newest sample; of one instant that of the first holding."""
    return int(samples.columns.time_micros.argmax()) if len(samples.columns) else None


@dataclass(frozen=True, slots=True)
class _OneHolding:
    samples: SupplySamples
    events: Sequence[ReferenceEvent]
    rules: GainRules
    as_of: datetime
    newest: int | None

    def gain(
        self, holding: Holding, flows: list[Flow], fact: HoldingFacts, points: Sequence[RatePoint]
    ) -> tuple[HoldingGain, GainSeries | None]:
        columns = self.samples.of_holding(holding)
        first = utc_moment(columns.time_micros[0]) if len(columns) else None
        reference = choose_reference(
            holding, flows, self.events, self.rules.references, self.as_of, first
        )
        points = [point for point in points if point.time <= self.as_of]
        base = base_row(columns, reference)
        if reference.time is None:
            return self._unmeasured(holding, columns, fact), None
        if base is None:
            return self._by_flows(holding, reference, flows, fact, points), None
        return self._sampled(holding, reference, columns, base, flows, fact, points)

    def _unmeasured(
        self, holding: Holding, columns: SampleColumns, fact: HoldingFacts
    ) -> HoldingGain:
        """Without a reference: what is held is known, what was gained is not."""
        found = HoldingGain(holding, HoldingState.NO_REFERENCE)
        if len(columns):
            found = replace(
                found,
                end_time=utc_moment(columns.time_micros[-1]),
                position_units=self.rules.scale.tokens(columns.units[-1]),
            )
        return replace(found, venue_yield_units=fact.venue_yield_units)

    def _sampled(
        self,
        holding: Holding,
        reference: Reference,
        columns: SampleColumns,
        base: int,
        flows: list[Flow],
        fact: HoldingFacts,
        points: Sequence[RatePoint],
    ) -> tuple[HoldingGain, GainSeries]:
        scale = self.rules.scale
        placed = place_flows(flows, columns, scale, self.rules.flow_lag)
        series = corrected_gain(holding, columns, base, placed, scale)
        gain = scale.tokens(series.gain_units[-1])
        check = check_gains(gain, columns, base, placed, points, fact.coverage, scale)
        newest = int(self.samples.columns.time_micros[self.newest or 0])
        carried = newest - int(series.time_micros[-1])
        is_absent = carried > span_micros(self.rules.carry_age)
        found = HoldingGain(
            holding,
            HoldingState.NO_DATA if is_absent else HoldingState.SAMPLED,
            reference,
            utc_moment(series.time_micros[0]),
            utc_moment(series.time_micros[-1]),
            scale.tokens(series.units[0]),
            None if is_absent else scale.tokens(series.units[-1]),
            None if is_absent else gain,
            decimal_of(series.price_usd[0]),
            timedelta(microseconds=carried),
            flow_sums(placed, base, int(series.time_micros[0])),
            placed,
            check,
            fact.venue_yield_units,
        )
        return found, series

    def _by_flows(
        self,
        holding: Holding,
        reference: Reference,
        flows: list[Flow],
        fact: HoldingFacts,
        points: Sequence[RatePoint],
    ) -> HoldingGain:
        """No sample since the reference: the flows alone, where they can."""
        by_flows, lacks = gain_without_samples(flows, points, reference, fact.coverage)
        venue_yield = fact.venue_yield_units
        if by_flows is None:
            check = GainCheck(Agreement.INCOMPLETE, None, None, lacks)
            state = HoldingState.NO_DATA
            return HoldingGain(
                holding, state, reference, check=check, venue_yield_units=venue_yield
            )
        faults = flow_faults(flows, tolerance_units(by_flows.gain_units))
        return HoldingGain(
            holding,
            HoldingState.BY_FLOWS,
            reference,
            by_flows.base_time,
            by_flows.end_time,
            by_flows.base_units,
            by_flows.position_units,
            by_flows.gain_units,
            sums=sums_since(flows, by_flows.base_time),
            check=GainCheck(Agreement.FLOWS_ALONE, None, by_flows, (), tuple(faults)),
            venue_yield_units=venue_yield,
        )
