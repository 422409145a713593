"""How near a position is to liquidation: every metric as one numpy pass over columns.

A scalar is the vector of length one. NaN is absent.
Formulas: domain page, section 2; oracle: tests/oracle/risk.json.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import IntEnum
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.positions.domain.venue_answer import Flag
from shared.touch import HORIZON_HOURS, History, empirical, normal

Numbers = NDArray[np.float64]

DEGENERATE_RATIO: Final = 1e-9  # entry and liquidation closer than this have no way between them
DISAGREEMENT_RATIO: Final = 0.005  # own and venue's liquidation price
MARK_DISAGREEMENT_RATIO: Final = 0.02  # venue's mark and market price
HEAT_FLOOR: Final = 5.0
CLASSIC_CAP: Final = 75.0


class HeatModel(IntEnum):
    """LIQUIDATION ends at 100 at any leverage; CLASSIC is capped at 75, 2 decimals."""

    LIQUIDATION = 1
    CLASSIC = 2


@dataclass(frozen=True, slots=True)
class HeatWeights:
    """Exponents of distance, leverage and collateral, >= 0."""

    distance_weight: float = 0.6
    leverage_weight: float = 0.3
    collateral_weight: float = 0.1


DEFAULT_WEIGHTS: Final = HeatWeights()


@dataclass(frozen=True, slots=True)
class Terms:
    """Columns of equal length; side_sign is +1 long, -1 short, 0 unknown; USD per unit; NaN =
    absent.
    """

    side_sign: Numbers
    entry_price_usd: Numbers
    price_usd: Numbers
    liquidation_price_usd: Numbers
    size_usd: Numbers
    collateral_usd: Numbers
    hourly_volatility_ratio: Numbers


@dataclass(frozen=True, slots=True)
class Metrics:
    """Columns of the same length as the terms; NaN = absent; units are in the names."""

    pnl_usd: Numbers
    value_usd: Numbers
    leverage_ratio: Numbers
    travel_percent: Numbers
    liquidation_distance_usd: Numbers
    liquidation_distance_percent: Numbers
    heat_index: Numbers
    liquidation_probability: Numbers
    wrong_side: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class AssetMoves:
    """The asset of each row by its key, and what those assets did whose past is known."""

    asset_key: NDArray[np.int_]
    history: Mapping[int, History]


NO_MOVES: Final = AssetMoves(np.empty(0, np.int_), {})
METRIC_NAMES: Final = tuple(field.name for field in fields(Metrics) if field.name != "wrong_side")


def metrics(
    terms: Terms,
    model: HeatModel = HeatModel.LIQUIDATION,
    weights: HeatWeights = DEFAULT_WEIGHTS,
    moves: AssetMoves = NO_MOVES,
) -> Metrics:
    """Every metric of section 2 for every row.

    L on the wrong side of entry: travel absent; heat 100 (CLASSIC: its cap) at or past L even when
    the collateral is gone, since that is what puts L there; else heat absent.
    """
    with np.errstate(all="ignore"):
        known = _cleaned(terms)
        side, entry, price, liquidation = (
            known.side_sign,
            known.entry_price_usd,
            known.price_usd,
            known.liquidation_price_usd,
        )
        gain = side * (price - entry)
        pnl = known.size_usd / entry * gain
        leverage = known.size_usd / _positive(known.collateral_usd)
        distance = side * (price - liquidation)
        way = side * (entry - liquidation)
        apart = np.abs(entry - liquidation) > DEGENERATE_RATIO * entry
        wrong_side = apart & (way <= 0)
        usable_way = np.where(apart & (way > 0), way, np.nan)
        heat = _heat(distance / usable_way, leverage, known, model, weights)
        heat = np.where(
            wrong_side & (distance <= 0),
            100.0 if model is HeatModel.LIQUIDATION else CLASSIC_CAP,
            heat,
        )
        return Metrics(
            pnl_usd=pnl + 0.0,
            value_usd=known.collateral_usd + pnl,
            leverage_ratio=leverage,
            travel_percent=100.0 * gain / usable_way + 0.0,
            liquidation_distance_usd=distance + 0.0,
            liquidation_distance_percent=100.0 * distance / price + 0.0,
            heat_index=heat,
            liquidation_probability=touch_probability(
                side, price, liquidation, known.hourly_volatility_ratio, moves
            ),
            wrong_side=wrong_side,
        )


def _cleaned(terms: Terms) -> Terms:
    """What cannot be a price, a size or a direction becomes absent here, once."""
    return Terms(
        side_sign=np.where(terms.side_sign == 0, np.nan, terms.side_sign),
        entry_price_usd=_positive(terms.entry_price_usd),
        price_usd=_positive(terms.price_usd),
        liquidation_price_usd=_positive(terms.liquidation_price_usd),
        size_usd=_positive(terms.size_usd),
        collateral_usd=terms.collateral_usd,
        hourly_volatility_ratio=_positive(terms.hourly_volatility_ratio),
    )


def _positive(values: Numbers) -> Numbers:
    return np.where(values > 0, values, np.nan)


def _heat(
    share_left: Numbers, leverage: Numbers, terms: Terms, model: HeatModel, weights: HeatWeights
) -> Numbers:
    """0 to 100; `share_left` is 1 at entry and 0 at liquidation, not clamped."""
    done = 1.0 - np.clip(share_left, 0.0, 1.0)
    collateral_ratio = terms.collateral_usd / terms.size_usd
    if model is HeatModel.CLASSIC:
        colour = (leverage / 100.0) ** weights.leverage_weight
        colour *= (1.0 - np.minimum(collateral_ratio, 1.0)) ** weights.collateral_weight
        heat = np.clip(100.0 * done**weights.distance_weight * colour, HEAT_FLOOR, CLASSIC_CAP)
        return np.asarray(np.round(heat, 2), np.float64)
    # As logarithms, (l^w_l * k^w_c)^(1-d) is one exponential; at d = 1 it is exactly 1.
    fading = weights.leverage_weight * np.log(np.minimum(leverage / 100.0, 1.0))
    fading += weights.collateral_weight * np.log(np.maximum(1.0 - collateral_ratio, 0.1))
    return np.maximum(
        100.0 * done**weights.distance_weight * np.exp(fading * (1.0 - done)), HEAT_FLOOR
    )


def touch_probability(
    side_sign: Numbers,
    price_usd: Numbers,
    liquidation_price_usd: Numbers,
    hourly_volatility_ratio: Numbers,
    moves: AssetMoves = NO_MOVES,
) -> Numbers:
    """Chance, 0 to 1, that the price touches L within the horizon: model EMPIRICAL for the assets
    of `moves`, else NORMAL; see `shared.touch`.

    1 at or past liquidation; absent without volatility.
    """
    reach = hourly_volatility_ratio * np.sqrt(HORIZON_HOURS)
    away = side_sign * np.log(price_usd / liquidation_price_usd) / reach
    chance = np.where(away <= 0, 1.0, np.nan)
    left = away > 0
    for asset_key, history in moves.history.items():
        of_asset = left & (moves.asset_key == asset_key)
        for sign, past in ((1.0, history.down), (-1.0, history.up)):
            rows = np.flatnonzero(of_asset & (side_sign == sign))
            chance[rows] = empirical(past, away[rows])
        left &= ~of_asset
    rows = np.flatnonzero(left)
    chance[rows] = normal(away[rows])
    return chance


def risk_liquidation_price(
    side_sign: Numbers, price_usd: Numbers, venue_usd: Numbers, own_usd: Numbers
) -> tuple[Numbers, NDArray[np.bool_]]:
    """The liquidation price that drives the risk, and where own and venue's disagree by over 0.5
    percent.

    The venue's when they agree or nothing tells which is nearer; the nearer to the price when they
    disagree; the only one when one is absent.
    """
    with np.errstate(invalid="ignore"):
        venue, own = _positive(venue_usd), _positive(own_usd)
        disagree = np.abs(own - venue) > DISAGREEMENT_RATIO * venue
        nearer = side_sign * (price_usd - own) < side_sign * (price_usd - venue)
        return np.where(np.isnan(venue) | (disagree & nearer), own, venue), disagree


def mark_disagrees(mark_usd: Numbers, market_usd: Numbers) -> NDArray[np.bool_]:
    """Where both are known and differ by over 2 percent of the market price."""
    with np.errstate(invalid="ignore"):
        return np.abs(mark_usd - market_usd) > MARK_DISAGREEMENT_RATIO * market_usd


def bit(flag: Flag) -> np.int64:
    """The flag's bit in flag_bits: bit n set = flag number n."""
    return np.int64(1 << flag)


_MASKS = tuple((1 << flag, flag) for flag in Flag)


@lru_cache(maxsize=1024)
def flags_of(bits: int) -> frozenset[Flag]:
    """The flags of a row's bits."""
    return frozenset([flag for mask, flag in _MASKS if bits & mask])


def bits_of(flags: frozenset[Flag]) -> int:
    """The bits of a row's flags."""
    return sum(1 << flag for flag in flags)
