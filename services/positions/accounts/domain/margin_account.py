"""One pool of margin: the cash and spot that stand for its positions, and what must stay of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Final

NO_CASH: Final = "CASH_MISSING"
NO_PRICE: Final = "PRICE_MISSING"
NO_MAINTENANCE: Final = "MAINTENANCE_MISSING"


@dataclass(frozen=True, slots=True)
class MarginTier:
    """The share of the notional that must stay, 0 to 1, of the part of it beyond
    `from_notional_usd`, up to the next tier.
    """

    from_notional_usd: float
    maintenance_ratio: float


@dataclass(frozen=True, slots=True)
class Leg:
    """One position of the account. `base`: signed, in units of the asset; `price_usd`: the
    venue's mark, > 0, None = not known; `tiers`: ascending, the first from 0, empty = not known.
    """

    asset: str
    base: float
    price_usd: float | None
    tiers: tuple[MarginTier, ...]


@dataclass(frozen=True, slots=True)
class SpotBalance:
    """An asset that counts as collateral. `counted_ratio`: the share of its value that does."""

    asset: str
    amount: float
    price_usd: float | None
    counted_ratio: float = 1.0


@dataclass(frozen=True, slots=True)
class MarginAccount:
    """`cash_usd`: signed; equity = cash + base * price of every leg + spot as far as it counts.
    None = not known. A long that was bought on credit leaves a negative cash.
    """

    cash_usd: float | None
    legs: tuple[Leg, ...]
    spot: tuple[SpotBalance, ...] = ()

    @property
    def held(self) -> tuple[Leg | SpotBalance, ...]:
        """All whose price the account depends on."""
        return (*self.legs, *self.spot)

    @property
    def missing(self) -> str:
        """The first thing without which nothing can be said; empty when all is there."""
        if self.cash_usd is None:
            return NO_CASH
        if any(not (one.price_usd and one.price_usd > 0) for one in self.held):
            return NO_PRICE
        return "" if all(leg.tiers for leg in self.legs) else NO_MAINTENANCE

    @property
    def equity_usd(self) -> float | None:
        """None where cash or a price is not known."""
        if self.missing in (NO_CASH, NO_PRICE):
            return None
        held = sum(leg.base * (leg.price_usd or 0.0) for leg in self.legs)
        spot = sum(one.amount * (one.price_usd or 0.0) * one.counted_ratio for one in self.spot)
        return (self.cash_usd or 0.0) + held + spot

    @property
    def maintenance_usd(self) -> float | None:
        """What of the equity must stay; at or below it the account is liquidated."""
        if any(not leg.tiers or not leg.price_usd for leg in self.legs):
            return None
        return sum(maintenance(notional(leg), leg.tiers) for leg in self.legs)

    @property
    def notional_usd(self) -> float | None:
        """Sum of the positions' sizes at the mark, whatever their side."""
        return (
            None if any(not leg.price_usd for leg in self.legs) else sum(map(notional, self.legs))
        )

    def with_transfer(self, amount_usd: float) -> "MarginAccount":
        """The account after so much was paid in (> 0) or taken out (< 0)."""
        return replace(self, cash_usd=None if self.cash_usd is None else self.cash_usd + amount_usd)


def notional(leg: Leg) -> float:
    """Of a leg whose price is known, USD, >= 0."""
    return abs(leg.base) * (leg.price_usd or 0.0)


def maintenance(notional_usd: float, tiers: Sequence[MarginTier]) -> float:
    """USD that must stay for a notional: each tier's share of the part that lies in it, so that
    there is no jump where a tier begins.
    """
    asked = 0.0
    for tier, end in zip(tiers, [*(one.from_notional_usd for one in tiers[1:]), inf], strict=True):
        if notional_usd > tier.from_notional_usd:
            part = min(notional_usd, end) - tier.from_notional_usd
            asked += part * tier.maintenance_ratio
    return asked


def flat(maintenance_ratio: float | None) -> tuple[MarginTier, ...]:
    """The same share of any notional; nothing is known without it."""
    return () if maintenance_ratio is None else (MarginTier(0.0, maintenance_ratio),)
