"""What-ifs: advice, carry, shocks; and how heat is weighed. Only the weights are ever stored."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite, nan

import numpy as np

from services.positions.domain.position import Position
from services.positions.domain.venue_answer import NO_TERMS, Side, VenueTerms
from services.positions.enrichment.domain import heat as modifiers
from services.positions.enrichment.domain.enriched_frame import EnrichedFrame
from services.positions.enrichment.domain.frozen_marks import FrozenMark
from services.positions.enrichment.domain.heat import HeatModifiers
from services.positions.enrichment.domain.metrics import HeatModel, HeatWeights
from services.positions.enrichment.service import EnrichmentService
from services.positions.positions.domain import Filter
from services.positions.positions.service.positions import PositionsService
from services.positions.risk.domain.advice import Advice, AdviceInput, Finding, advise
from services.positions.risk.domain.carry import hours_until_liquidation
from services.positions.risk.domain.shock import Shock, ShockPath, check_shock, judged, moves, walk
from services.positions.service.ports import Begin
from shared.errors import Conflict, NotFound, invalid

SIGNS = {Side.LONG: 1.0, Side.SHORT: -1.0, Side.UNKNOWN: 0.0}
_MAX_LISTED = 1000


@dataclass(frozen=True, slots=True)
class Advised:
    """An advice and what it was given for; a reason word when it is not plain advice."""

    advice_input: AdviceInput
    advice: Advice
    reason: str


@dataclass(frozen=True, slots=True)
class Carry:
    """USD an hour, negative = it earns; hours at the present price, or a reason for none."""

    position_id: str
    carry_usd_per_hour: float | None
    hours_to_liquidation: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class Carries:
    """The first 1,000, the sum over all, and how many do not say."""

    carries: Sequence[Carry]
    total_carry_usd_per_hour: float | None
    absent_count: int


@dataclass(frozen=True, slots=True)
class Liquidation:
    """A position that a shock liquidates; see services.positions.risk.domain.shock.ShockPath."""

    position_id: str
    asset: str
    side: Side
    share: float
    price_usd: float
    forfeited_collateral_usd: float


@dataclass(frozen=True, slots=True)
class Shocked:
    """A shock walked to its end, with the first 1,000 liquidations."""

    name: str
    walk: ShockPath
    liquidations: Sequence[Liquidation]


class RiskService:
    """Use cases of risk."""

    def __init__(
        self, read: Begin, enrichment: EnrichmentService, positions: PositionsService
    ) -> None:
        self._read = read
        self._enrichment = enrichment
        self._positions = positions

    async def advise_stored(
        self, position_id: str, price_usd: float | None, wanted_percent: float
    ) -> Advised:
        """Advice for a stored position, by default at its mark. Raises POSITION_NOT_FOUND."""
        position = await self._positions.get(position_id)
        key = position.inputs.position_key
        async with self._read() as store:
            terms = (await store.sync_rows.terms([key])).get(key, NO_TERMS)
        advice_input = advice_input_of(position, terms)
        if price_usd is not None:
            advice_input = replace(advice_input, price_usd=price_usd)
        return self.advise(advice_input, wanted_percent)

    def advise(self, advice_input: AdviceInput, wanted_percent: float) -> Advised:
        """Advice for terms. Raises InvalidArgument INVALID_FIELD for a price that is none."""
        if advice_input.price_usd is not None and advice_input.price_usd <= 0:
            problem = "more than 0"
            raise invalid("price_usd", problem, f"price_usd is {problem}")
        advice = advise(advice_input, wanted_percent)
        reason = missing(advice_input)
        if not reason and Finding.CANNOT_BE_MET in (advice.add_finding, advice.cut_finding):
            reason = "WANTED_DISTANCE_UNREACHABLE"
        elif not reason and Finding.CANNOT_JUDGE in (advice.add_finding, advice.cut_finding):
            reason = "VENUE_TERMS_MISSING"
        return Advised(advice_input, advice, reason)

    async def carry(self, position_ids: Sequence[str]) -> Carries:
        """Of these positions, or of every ACTIVE and STALE one. Raises POSITION_NOT_FOUND."""
        wanted = Filter(statuses=()) if position_ids else Filter()
        asked = sorted(set(position_ids))
        async with self._read() as store:
            known, absent_count, total = await store.positions.carry_totals(asked)
            if asked and known < len(asked):
                raise NotFound("POSITION_NOT_FOUND", "one of these ids is no position's")
            found = await store.positions.first(wanted, asked, _MAX_LISTED)
            terms = await store.sync_rows.terms(one.inputs.position_key for one in found)
        carries = [
            carry_of(one, terms.get(one.inputs.position_key, NO_TERMS))
            for one in await self._positions.with_risk(found)
        ]
        return Carries(carries, total, absent_count)

    async def shock(
        self, shocks: Sequence[Shock], step_count: int
    ) -> tuple[Sequence[Shocked], int]:
        """Each shock walked over the last pass; and how many positions cannot be judged.

        Raises InvalidArgument INVALID_FIELD.
        """
        for one in shocks:
            check_shock(one)
        frame = await self._enrichment.frame()
        walks = await asyncio.to_thread(_walks, frame, shocks, step_count)
        rows = {int(row) for one in walks for row in one.liquidated_rows[:_MAX_LISTED]}
        keys = sorted(int(frame.columns["position_key"][row]) for row in rows)
        names = (
            dict(zip(keys, await self._enrichment.position_ids(keys), strict=True)) if keys else {}
        )
        absent_count = len(frame) - int(np.count_nonzero(judged(frame.columns)))
        return [
            Shocked(shock.name, one, _liquidations(frame, one, names))
            for shock, one in zip(shocks, walks, strict=True)
        ], absent_count

    async def heat(self) -> HeatModifiers:
        """As stored."""
        return await self._enrichment.heat()

    async def set_heat(self, model: HeatModel, weights: HeatWeights, etag: str) -> HeatModifiers:
        """Weigh heat anew, every position at once. Raises Conflict ETAG_MISMATCH."""
        async with self._enrichment.changing() as store:
            present = (await store.enrichment.lock()).heat
            if etag and etag != present.etag:
                raise Conflict("ETAG_MISMATCH", "the modifiers were changed since; read them again")
            changed = HeatModifiers(model, weights, present.version + 1)
            await store.enrichment.set_heat(changed)
        return changed

    async def set_frozen(self, marks: Sequence[FrozenMark]) -> Sequence[FrozenMark]:
        """These marks stand still, and no other: every position is judged anew. Raises
        INVALID_FIELD.
        """
        listed = sorted(marks)
        if len({(one.venue, one.asset) for one in listed}) < len(listed):
            raise invalid("marks", "each venue and asset once")
        async with self._enrichment.changing() as store:
            await store.enrichment.lock()
            await store.enrichment.set_frozen(listed)
        return listed

    async def import_heat(self, text: str) -> tuple[HeatModifiers, Sequence[str]]:
        """JSON in; what holds now, and groups left alone. Raises BAD_FILE, BAD_MODIFIERS."""
        present = await self.heat()
        model, weights, ignored = modifiers.imported(text, present.model)
        return await self.set_heat(model, weights, present.etag), ignored


def advice_input_of(position: Position, terms: VenueTerms) -> AdviceInput:
    """A stored position, with the mark and the liquidation price that drive its risk."""
    inputs, risk = position.inputs, position.risk
    return AdviceInput(
        inputs.venue,
        inputs.asset,
        SIGNS[inputs.side],
        inputs.entry_price_usd,
        inputs.size_usd,
        inputs.collateral_usd,
        inputs.mark_price_usd if risk is None else risk.mark_price_usd,
        (risk and risk.risk_liquidation_price_usd) or inputs.liquidation_price_usd,
        terms.maintenance_ratio,
    )


def missing(advice_input: AdviceInput) -> str:
    """The first thing without which nothing can be said; empty when all is there."""
    if not advice_input.side_sign:
        return "SIDE_UNKNOWN"
    for name, value in (
        ("PRICE_MISSING", advice_input.price_usd),
        ("ENTRY_MISSING", advice_input.entry_price_usd),
        ("SIZE_MISSING", advice_input.size_usd),
        ("LIQUIDATION_PRICE_MISSING", advice_input.liquidation_price_usd),
    ):
        if value is None or not value > 0:
            return name
    return ""


def carry_of(position: Position, terms: VenueTerms) -> Carry:
    """Carry of one position, and for how long it can be paid."""
    position_id, carry, advice_input = (
        position.inputs.id,
        terms.hourly_carry_usd,
        advice_input_of(position, terms),
    )
    if carry is None:
        return Carry(position_id, None, None, "CARRY_MISSING")
    if missing(advice_input):
        return Carry(position_id, carry, None, missing(advice_input))
    hours = float(
        hours_until_liquidation(
            advice_input.side_sign,
            advice_input.price_usd or nan,
            (advice_input.size_usd or nan) / (advice_input.entry_price_usd or nan),
            advice_input.liquidation_price_usd or nan,
            carry,
            advice_input.maintenance_ratio or 0.0,
        )
    )
    return Carry(
        position_id, carry, hours if isfinite(hours) else None, "" if isfinite(hours) else "NO_COST"
    )


def _walks(frame: EnrichedFrame, shocks: Sequence[Shock], step_count: int) -> list[ShockPath]:
    place = frame.columns["asset_index"]
    return [
        walk(
            frame.columns,
            moves(shock, frame.asset_names)[place] if len(frame) else np.zeros(0),
            step_count,
        )
        for shock in shocks
    ]


def _liquidations(frame: EnrichedFrame, one: ShockPath, names: dict[int, str]) -> list[Liquidation]:
    columns, liquidations = frame.columns, []
    for row, share, price in zip(
        one.liquidated_rows[:_MAX_LISTED].tolist(),
        one.shares.tolist(),
        one.prices_usd.tolist(),
        strict=False,
    ):
        liquidations.append(
            Liquidation(
                names.get(int(columns["position_key"][row]), ""),
                frame.asset_names[columns["asset_index"][row]],
                Side.LONG if columns["side_sign"][row] > 0 else Side.SHORT,
                share,
                price,
                float(columns["collateral_usd"][row]),
            )
        )
    return liquidations
