"""What would become of a hedge: at other prices, with another leg, leg by leg to liquidation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.hedges.domain import ladder, rebalance
from services.hedges.domain.evaluation import Evaluation, check_count, evaluate
from services.hedges.domain.holdings import Legs
from services.hedges.service.hedges import HedgesService
from services.hedges.service.modifiers import ModifiersService
from services.hedges.service.ports import Positions
from shared.errors import FailedPrecondition


@dataclass(frozen=True, slots=True)
class Held:
    """A hedge's members as held now; `gone_position_ids` are those that are not."""

    legs: Legs
    gone_position_ids: list[str]


@dataclass(frozen=True, slots=True)
class Advised:
    """An advice at one price, with the figures after it."""

    held: Held
    row: int
    advice: rebalance.Advice
    after: Evaluation
    fee_usd: float


@dataclass(frozen=True, slots=True)
class Corridor:
    """Both ladders of a hedge and the price their distances are from (NaN: none)."""

    held: Held
    reference_price_usd: float
    down: ladder.Ladder
    up: ladder.Ladder


class WhatIfs:
    """Weighs a hedge's members as they are held now; writes nothing."""

    def __init__(
        self, hedges: HedgesService, modifiers: ModifiersService, positions: Positions
    ) -> None:
        self._hedges = hedges
        self._modifiers = modifiers
        self._positions = positions

    async def evaluate(self, id: str, prices_usd: Sequence[float]) -> tuple[Held, Evaluation]:
        """The members at prices, each at its own mark for none; TOO_MANY_FIGURES, MEMBERS_GONE."""
        held = await self._held(id)
        check_count(len(prices_usd), len(held.legs))
        return held, evaluate(
            held.legs, held.legs.at(prices_usd) if prices_usd else held.legs.marks
        )

    async def advise(
        self,
        id: str,
        target: rebalance.Target,
        side: int,
        changing: rebalance.Field,
        position_id: str,
        price_usd: float | None,
    ) -> Advised:
        """What to change of one leg of a side; LEG_NOT_FOUND, MEMBERS_GONE."""
        held, values = await self._held(id), await self._modifiers.get()
        legs = held.legs
        row = rebalance.largest(legs, side, position_id)
        prices = legs.marks if price_usd is None else legs.at([price_usd])
        advice = rebalance.advise(legs, rebalance.Question(target, row, changing), prices)
        collateral_usd, size_usd = float(advice.collateral_usd[0]), float(advice.size_usd[0])
        after = evaluate(rebalance.applied(legs, row, collateral_usd, size_usd), prices)
        return Advised(
            held, row, advice, after, values.fee_usd(size_usd - float(legs.size_usd[row]))
        )

    async def corridor(self, id: str, price_usd: float | None) -> Corridor:
        """Where legs liquidate, from a price or the median of the marks; MEMBERS_GONE."""
        held = await self._held(id)
        reference = ladder.reference_price(held.legs) if price_usd is None else price_usd
        return Corridor(
            held, reference, ladder.down(held.legs, reference), ladder.up(held.legs, reference)
        )

    async def _held(self, id: str) -> Held:
        hedge = await self._hedges.get(id)
        legs = await self._positions.legs(hedge.wallet, hedge.asset, hedge.position_ids)
        if not len(legs):
            raise FailedPrecondition(
                "MEMBERS_GONE", f"no member of {id!r} is held any more; link the hedges again"
            )
        held = set(legs.position_ids)
        return Held(
            legs, [position_id for position_id in hedge.position_ids if position_id not in held]
        )
