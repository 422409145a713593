"""The price at which each position's own limit of distance rings at HIGH. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.cyclone.sleep.domain.facts import HeldPosition


@dataclass(frozen=True, slots=True)
class WakePrice:
    """`move_percent`: from the present mark, below 0 is lower."""

    about: str
    price_usd: float
    move_percent: float


def price_at(liquidation_usd: float, side_sign: int, distance_percent: float) -> float:
    """Where the distance, in percent of the price, is this: 100 * side * (price - L) / price.
    `side_sign`: +1 long, -1 short.
    """
    return liquidation_usd / (1 - side_sign * distance_percent / 100)


def wake_prices(
    positions: Sequence[HeldPosition], limits: Mapping[str, float | None]
) -> Sequence[WakePrice]:
    """The nearest first. `limits`: HIGH of the distance by asset, "" for every other; None: that
    one never rings. Left out is what has no such limit, is not known, or is past it already.
    """
    found = [
        WakePrice(one.about, price, 100 * (price / mark - 1))
        for one in positions
        if (prices := _prices(one, limits)) is not None
        for price, mark in [prices]
    ]
    return sorted(found, key=lambda one: (abs(one.move_percent), one.about))


def _prices(one: HeldPosition, limits: Mapping[str, float | None]) -> tuple[float, float] | None:
    """Where it rings, and the mark."""
    limit, distance = limits.get(one.asset, limits.get("")), one.distance_percent
    liquidation = one.liquidation_price_usd
    if limit is None or distance is None or not liquidation or not one.side_sign:
        return None
    if not limit < distance or (one.side_sign > 0 and distance >= 100):
        return None
    mark = price_at(liquidation, one.side_sign, distance)
    return price_at(liquidation, one.side_sign, limit), mark
