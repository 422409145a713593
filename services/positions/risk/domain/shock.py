"""A portfolio walked along a move of prices: what it is worth on the way, and what is liquidated
when.

Pure: columns in, figures out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from services.positions.enrichment.domain.enrichment import Column
from services.positions.enrichment.domain.metrics import Numbers
from shared.errors import invalid
from shared.texts import spelled

_ROUNDING = 1e-9  # share of the way: a move exactly to the liquidation price reaches it


@dataclass(frozen=True, slots=True)
class Shock:
    """Percent by asset, > -100; `other_move_percent` for assets not named, None = they stay."""

    name: str
    moves_percent: Mapping[str, float]
    other_move_percent: float | None


@dataclass(frozen=True, slots=True)
class Point:
    """The portfolio at a share of the way, 0 to 1; USD."""

    share: float
    value_usd: float
    pnl_usd: float
    liquidated_count: int


@dataclass(frozen=True, slots=True)
class ShockPath:
    """Points in order; liquidated rows in order, with the share and the price at which they are."""

    points: tuple[Point, ...]
    liquidated_rows: NDArray[np.intp]
    shares: Numbers
    prices_usd: Numbers
    value_change_usd: float


def check_shock(shock: Shock) -> None:
    """Raises InvalidArgument INVALID_FIELD for a move that leaves no price."""
    for name, percent in (*shock.moves_percent.items(), ("other", shock.other_move_percent or 0.0)):
        if not isfinite(percent) or percent <= -100:
            problem = "finite and above -100 percent"
            raise invalid("shocks", problem, f"the move of {name[:32]} is {problem}")


def moves(shock: Shock, asset_names: tuple[str, ...]) -> Numbers:
    """Moves as ratios by asset index."""
    given = shock.moves_percent.items()
    named = {asset: percent for name, percent in given for asset in spelled(name, asset_names)}
    other = shock.other_move_percent or 0.0
    return np.array([named.get(name, other) / 100.0 for name in asset_names], np.float64)


def judged(columns: Mapping[str, Column]) -> NDArray[np.bool_]:
    """Rows whose value is known at any price."""
    known = np.isfinite(columns["mark_price_usd"]) & (columns["side_sign"] != 0)
    return np.asarray(known & np.isfinite(columns["value_usd"]), np.bool_)


def walk(columns: Mapping[str, Column], move_ratios: Numbers, step_count: int) -> ShockPath:
    """`columns` of a frame; `move_ratios` by row. Prices go in a line from the mark to mark * (1 +
    move).

    A liquidated position is worth 0 and has lost its collateral; rows that are not judged add
    nothing.
    """
    known = judged(columns)
    rows = np.flatnonzero(known)
    side = columns["side_sign"][rows].astype(np.float64)
    price, entry = columns["mark_price_usd"][rows], columns["entry_price_usd"][rows]
    size, collateral = columns["size_usd"][rows], columns["collateral_usd"][rows]
    liquidation, move = columns["risk_liquidation_price_usd"][rows], move_ratios[rows]
    shares = _shares(side, price, liquidation, move)
    points = []
    for share in np.linspace(0.0, 1.0, step_count + 1):
        gone = shares <= share + _ROUNDING
        pnl = side * size / entry * (price * (1.0 + move * share) - entry)
        value = np.where(gone, 0.0, collateral + pnl)
        pnl = np.where(gone, -collateral, pnl)
        points.append(Point(float(share), _sum(value), _sum(pnl), int(np.count_nonzero(gone))))
    falling = np.flatnonzero(shares <= 1.0 + _ROUNDING)
    falling = falling[np.argsort(shares[falling], kind="stable")]
    at = np.minimum(shares[falling], 1.0)
    now = _sum(columns["value_usd"][rows])
    return ShockPath(
        tuple(points),
        rows[falling],
        at,
        price[falling] * (1.0 + move[falling] * at),
        points[-1].value_usd - now,
    )


def _shares(side: Numbers, price: Numbers, liquidation: Numbers, move: Numbers) -> Numbers:
    """Share of the way at which each row touches its liquidation price; infinity = never."""
    with np.errstate(all="ignore"):
        towards = side * move < 0
        share = np.where(towards, (liquidation / price - 1.0) / move, np.inf)
        share = np.where(side * (price - liquidation) <= 0, 0.0, share)
    return np.where(np.isnan(share), np.inf, share)


def _sum(values: Numbers) -> float:
    return float(np.nansum(values)) + 0.0
