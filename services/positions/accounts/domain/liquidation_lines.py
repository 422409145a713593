"""Where an account is liquidated: by one asset's price alone, and by a move of all together.

Along a move equity and maintenance are straight between kinks (a margin tier begins, a price
reaches 0), so each stretch is solved by itself, exactly.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf, isfinite

from services.positions.accounts.domain.margin_account import (
    MarginAccount,
    MarginTier,
    maintenance,
)

_TOTAL_LOSS = -1.0  # A price falls by no more than all of it.


@dataclass(frozen=True, slots=True)
class Moves:
    """How far a move down and a move up lead to liquidation, percent, >= 0; 0 = liquidatable now,
    None = no such move.
    """

    down_percent: float | None
    up_percent: float | None

    @property
    def nearest_percent(self) -> float | None:
        """The smaller of the two."""
        known = [one for one in (self.down_percent, self.up_percent) if one is not None]
        return min(known, default=None)

    @property
    def signed_percent(self) -> float | None:
        """The smaller of the two, < 0 down."""
        down, up = self.down_percent, self.up_percent
        if down is None or (up is not None and up < down):
            return up
        return -down


@dataclass(frozen=True, slots=True)
class AssetLine:
    """One asset moves, all others stay. Prices in USD per unit, None = none on that side;
    `base`: what the account holds of it in all, signed, positions and spot.
    """

    asset: str
    price_usd: float
    base: float
    below_usd: float | None
    above_usd: float | None
    moves: Moves


@dataclass(frozen=True, slots=True)
class _Part:
    """What moves by `beta` percent for each percent of the move: its signed value now."""

    value_usd: float
    beta: float
    tiers: tuple[MarginTier, ...]

    def factor(self, move: float) -> float:
        return max(0.0, 1.0 + self.beta * move)

    def surplus(self, move: float) -> float:
        value = self.value_usd * self.factor(move)
        return value - maintenance(abs(value), self.tiers) if self.tiers else value

    def slope(self, move: float) -> float:
        """Of the stretch that this move, no kink, lies in."""
        if not self.beta or self.factor(move) == 0.0:
            return 0.0
        size = abs(self.value_usd)
        held = [tier for tier in self.tiers if size * self.factor(move) > tier.from_notional_usd]
        asked = held[-1].maintenance_ratio if held else 0.0
        return self.beta * (self.value_usd - asked * size)

    def kinks(self) -> list[float]:
        if not self.beta or not self.value_usd:
            return []
        bounds = [tier.from_notional_usd / abs(self.value_usd) for tier in self.tiers]
        return [(bound - 1.0) / self.beta for bound in {0.0, *bounds}]


def account_lines(account: MarginAccount) -> list[AssetLine]:
    """A line for each asset the account depends on, by name; none while something is missing."""
    if account.missing:
        return []
    prices = {one.asset: one.price_usd or 0.0 for one in account.held}
    return [_line(account, asset, prices[asset]) for asset in sorted(prices)]


def common_moves(account: MarginAccount) -> Moves:
    """All prices move by the same percent."""
    return _moves(account, {one.asset: 1.0 for one in account.held})


def missing_betas(account: MarginAccount, betas: Mapping[str, float]) -> list[str]:
    """Assets of the account of which it is not said how they move."""
    return sorted({one.asset for one in account.held} - betas.keys())


def beta_moves(account: MarginAccount, betas: Mapping[str, float]) -> Moves:
    """The move of the leading asset (beta 1) at which the account is liquidated, when each other
    moves by its beta for each percent of that; nothing is known while a beta is missing.
    """
    if missing_betas(account, betas):
        return Moves(None, None)
    return _moves(account, betas)


def _line(account: MarginAccount, asset: str, price_usd: float) -> AssetLine:
    moves = _moves(account, {asset: 1.0})
    base = sum(leg.base for leg in account.legs if leg.asset == asset)
    base += sum(one.amount for one in account.spot if one.asset == asset)
    down, up = moves.down_percent, moves.up_percent
    return AssetLine(
        asset,
        price_usd,
        base,
        None if down is None else price_usd * (1.0 - down / 100.0),
        None if up is None else price_usd * (1.0 + up / 100.0),
        moves,
    )


def _moves(account: MarginAccount, betas: Mapping[str, float]) -> Moves:
    if account.missing or not account.legs:
        return Moves(None, None)
    parts = [
        _Part(leg.base * (leg.price_usd or 0.0), betas.get(leg.asset, 0.0), leg.tiers)
        for leg in account.legs
    ]
    parts += [
        _Part(
            one.amount * (one.price_usd or 0.0) * one.counted_ratio, betas.get(one.asset, 0.0), ()
        )
        for one in account.spot
    ]
    cash = account.cash_usd or 0.0
    if _surplus(cash, parts, 0.0) <= 0:
        return Moves(0.0, 0.0)
    kinks = sorted({kink for part in parts for kink in part.kinks()})
    below = [kink for kink in reversed(kinks) if _TOTAL_LOSS < kink < 0]
    above = [kink for kink in kinks if kink > 0]
    down = _first_root(cash, parts, [0.0, *below, _TOTAL_LOSS])
    up = _first_root(cash, parts, [0.0, *above, inf])
    return Moves(None if down is None else -100.0 * down, None if up is None else 100.0 * up)


def _first_root(cash: float, parts: Sequence[_Part], ends: Sequence[float]) -> float | None:
    """The first move along these stretches at which nothing is left above the maintenance."""
    for start, end in pairwise(ends):
        inside = start + 1.0 if end == inf else (start + end) / 2.0
        slope = sum(part.slope(inside) for part in parts)
        if slope >= 0 if end == inf else _surplus(cash, parts, end) > 0:
            continue
        # What rounding puts beyond the stretch lies at its end.
        root = start - _surplus(cash, parts, start) / slope if slope else end
        root = min(max(root, min(start, end)), max(start, end))
        return root if isfinite(root) and root > _TOTAL_LOSS else None
    return None


def _surplus(cash: float, parts: Sequence[_Part], move: float) -> float:
    return cash + sum(part.surplus(move) for part in parts)
