"""What funding and borrow of the night cost, and what they do to the distances. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.cyclone.sleep.domain.facts import Carry, HeldPosition


@dataclass(frozen=True, slots=True)
class NightCarry:
    """Over some hours at unmoved prices and rates. `cost_usd`: of all that is known, below 0 it
    earns; None: of nothing. `liquidated`: by carry alone; `ringing`: those whose distance comes to
    its limit of HIGH; `nearest`: the one that carry brings nearest, with its distance after it, in
    percent.
    """

    cost_usd: float | None
    unknown_count: int
    liquidated: Sequence[str]
    ringing: Sequence[str]
    nearest: tuple[str, float, float] | None


def distance_after(distance_percent: float, hours: float, hours_to_liquidation: float) -> float:
    """The liquidation price drifts evenly towards the price: 0 is left when the time is over."""
    if hours_to_liquidation <= hours:
        return 0.0
    return distance_percent * (1 - hours / hours_to_liquidation)


def night_carry(
    positions: Sequence[HeldPosition],
    carries: Mapping[str, Carry],
    limits: Mapping[str, float | None],
    hours: float,
) -> NightCarry:
    """`limits`: HIGH of the distance by asset, "" for every other; None: that one never rings."""
    costs, moved, unknown_count = [], [], 0
    for one in positions:
        carry = carries.get(one.id)
        if carry is None or carry.usd_per_hour is None:
            unknown_count += 1
            continue
        costs.append(carry.usd_per_hour * hours)
        left, before = carry.hours_to_liquidation, one.distance_percent
        if left is not None and before is not None and before > 0:
            moved.append((one, before, distance_after(before, hours, left)))
    liquidated = [one.about for one, _, after in moved if after <= 0]
    ringing = [
        one.about
        for one, before, after in moved
        if 0 < after <= (limits.get(one.asset, limits.get("")) or 0.0) < before
    ]
    nearest = min(moved, key=lambda row: (row[2], row[0].about), default=None)
    return NightCarry(
        sum(costs) if costs else None,
        unknown_count,
        liquidated,
        ringing,
        None if nearest is None else (nearest[0].about, nearest[1], nearest[2]),
    )
