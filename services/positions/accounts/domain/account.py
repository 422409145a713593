"""An account as people see it: a pool of margin, or positions that each stand for themselves."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Final

from services.positions.accounts.domain.liquidation_lines import (
    AssetLine,
    Moves,
    account_lines,
    beta_moves,
    common_moves,
)
from services.positions.accounts.domain.stated_account import StatedAccount
from services.positions.accounts.domain.still_marks import NO_MARKS, AtWorst, at_worst

ISOLATED: Final = "isolated"
NO_LINE: Final = "LIQUIDATION_PRICE_MISSING"
_NO_MOVES: Final = Moves(None, None)
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9]+")


class AccountKind(IntEnum):
    """What is liquidated together; the numbers are those of the proto."""

    POOL = 1
    SEPARATE_POSITIONS = 2


class BetaSource(IntEnum):
    """Where betas are from; the numbers are those of the proto."""

    GIVEN = 1
    ESTIMATED = 2


@dataclass(frozen=True, slots=True)
class Betas:
    """For each asset its percent for each percent of the leading one. `source`: None without."""

    by_asset: Mapping[str, float] = field(default_factory=dict)
    source: BetaSource | None = None


NO_BETAS: Final = Betas()


@dataclass(frozen=True, slots=True)
class Source:
    """Whose account it is, and what is known of the answer it comes from."""

    feed_key: int
    wallet: str
    venue: str
    observed_time: datetime | None
    stale: bool
    unwatched: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AccountRisk:
    """Figures of an account; None = absent. USD; ratios >= 0; moves in percent, see Moves.

    `betas`: those that `by_beta` stands on; some may be missing, and then it says nothing.
    `margin_ratio`: maintenance over equity, 1 at liquidation; `exposure_ratio`: positions at the
    mark over equity. Both are absent when the equity is not above 0.
    `reason`: why lines are missing; of separate positions those that have none are left out.
    `estimate_only`: nothing is judged by it.
    """

    id: str
    name: str
    kind: AccountKind
    source: Source
    mode: str = ""
    equity_usd: float | None = None
    maintenance_usd: float | None = None
    notional_usd: float | None = None
    common: Moves = _NO_MOVES
    by_beta: Moves = _NO_MOVES
    betas: Betas = NO_BETAS
    lines: tuple[AssetLine, ...] = ()
    estimated: bool = False
    reason: str = ""
    estimate_only: bool = False

    @property
    def margin_ratio(self) -> float | None:
        return _ratio(self.maintenance_usd, self.equity_usd)

    @property
    def exposure_ratio(self) -> float | None:
        return _ratio(self.notional_usd, self.equity_usd)


@dataclass(frozen=True, slots=True)
class AccountReading:
    """What is judged of an account whose positions share a margin. USD; ratio >= 0; percent, >= 0.

    `distance_percent`: None with a `reason` is not known, without one no common move liquidates it.
    `beta_move_percent`: of the leading asset, < 0 down, the nearer one by estimated betas; None =
    not known, or none.
    `at_worst`: while marks of it stand still and its source is not stale; else None.
    """

    id: str
    name: str
    source: Source
    distance_percent: float | None
    exposure_ratio: float | None
    equity_usd: float | None
    notional_usd: float | None
    reason: str
    beta_move_percent: float | None = None
    at_worst: AtWorst | None = None

    @property
    def stale(self) -> bool:
        """Whether it is of an old answer, or a mark of it stands still."""
        return self.source.stale or self.at_worst is not None


@dataclass(frozen=True, slots=True)
class SeparatePosition:
    """A position whose collateral stands for nothing else. `base` is signed, never 0;
    `liquidation_usd` is the price that drives its risk; None = not known.
    """

    asset: str
    base: float | None
    price_usd: float | None
    liquidation_usd: float | None
    value_usd: float | None


def pool(stated: StatedAccount, source: Source, betas: Betas = NO_BETAS) -> AccountRisk:
    """A pool with its lines."""
    margin, is_known = stated.margin, not stated.missing
    own = {
        name: betas.by_asset[name]
        for name in sorted({one.asset for one in margin.held})
        if name in betas.by_asset
    }
    equity = margin.equity_usd if is_known else None
    return AccountRisk(
        _id(source, stated.name),
        stated.name,
        AccountKind.POOL,
        source,
        stated.mode,
        stated.equity_usd if equity is None else equity,
        margin.maintenance_usd if is_known else stated.maintenance_usd,
        margin.notional_usd if is_known else None,
        common_moves(margin) if is_known else _NO_MOVES,
        beta_moves(margin, own) if is_known and own else _NO_MOVES,
        Betas(own, betas.source) if is_known and own else NO_BETAS,
        tuple(account_lines(margin)) if is_known else (),
        stated.estimated,
        stated.missing,
        stated.estimate_only,
    )


def reading(
    stated: StatedAccount,
    source: Source,
    betas: Betas = NO_BETAS,
    highest_usd: Mapping[str, float] = NO_MARKS,
) -> AccountReading:
    """A pool without its lines. Nothing is said of one of which something is missing.
    `highest_usd`: see `at_worst`, of assets whose mark stands still.
    """
    margin, is_known = stated.margin, not stated.missing
    equity = margin.equity_usd if is_known else None
    notional = margin.notional_usd if is_known else None
    return AccountReading(
        _id(source, stated.name),
        stated.name,
        source,
        common_moves(margin).nearest_percent if is_known else None,
        _ratio(notional, equity),
        equity,
        notional,
        stated.missing,
        beta_moves(margin, betas.by_asset).signed_percent if is_known and betas.by_asset else None,
        None if source.stale or not is_known else at_worst(margin, highest_usd),
    )


def separate(positions: Sequence[SeparatePosition], source: Source) -> AccountRisk:
    """Positions that are liquidated one by one: the lines are those of the nearest."""
    judged = [one for one in positions if one.base and one.price_usd and one.liquidation_usd]
    assets = sorted({one.asset for one in judged})
    lines = [_nearest([one for one in judged if one.asset == asset]) for asset in assets]
    values = [one.value_usd for one in positions]
    notionals = [_notional(one) for one in positions]
    downs = [line.moves.down_percent for line in lines]
    ups = [line.moves.up_percent for line in lines]
    return AccountRisk(
        _id(source, ISOLATED),
        ISOLATED,
        AccountKind.SEPARATE_POSITIONS,
        source,
        equity_usd=None if None in values else sum(value or 0.0 for value in values),
        notional_usd=None if None in notionals else sum(value or 0.0 for value in notionals),
        common=Moves(_least(downs), _least(ups)),
        lines=tuple(lines),
        reason="" if len(judged) == len(positions) else NO_LINE,
    )


def _notional(one: SeparatePosition) -> float | None:
    return None if one.base is None or one.price_usd is None else abs(one.base) * one.price_usd


def _nearest(positions: Sequence[SeparatePosition]) -> AssetLine:
    """Of one asset. A position at or past its line has 0 percent left, on its own side."""
    bases = [one.base or 0.0 for one in positions]
    longs = [_left(one) for one, base in zip(positions, bases, strict=True) if base > 0]
    shorts = [_left(one) for one, base in zip(positions, bases, strict=True) if base < 0]
    lines = [one.liquidation_usd or 0.0 for one in positions]
    below = [line for line, base in zip(lines, bases, strict=True) if base > 0]
    above = [line for line, base in zip(lines, bases, strict=True) if base < 0]
    return AssetLine(
        positions[0].asset,
        positions[0].price_usd or 0.0,
        sum(bases),
        max(below, default=None),
        min(above, default=None),
        Moves(_least(longs), _least(shorts)),
    )


def _left(one: SeparatePosition) -> float:
    price, line = one.price_usd or 0.0, one.liquidation_usd or 0.0
    left = price - line if (one.base or 0.0) > 0 else line - price
    return max(100.0 * left / price, 0.0)


def _least(moves: Sequence[float | None]) -> float | None:
    return min((move for move in moves if move is not None), default=None)


def _ratio(part: float | None, whole: float | None) -> float | None:
    return None if part is None or whole is None or whole <= 0 else part / whole


def _id(source: Source, name: str) -> str:
    """Short enough to be typed, and of no address."""
    return f"{source.venue}-{source.feed_key}-{_NOT_PLAIN.sub('-', name)}"
