"""How near a position is to liquidation: every metric as one numpy pass over columns.

A scalar is the vector of length one. NaN is absent.
Formulas: domain page, section 2; oracle: tests/oracle/risk.json.
"""

from dataclasses import dataclass, fields
from enum import IntEnum
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.positions.domain.venue_answer import Flag

Numbers = NDArray[np.float64]

DEGENERATE_RATIO: Final = 1e-9  # entry and liquidation closer than this have no way between them
DISAGREEMENT_RATIO: Final = 0.005  # own and venue's liquidation price
MARK_DISAGREEMENT_RATIO: Final = 0.02  # venue's mark and market price
HORIZON_HOURS: Final = 24.0
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


METRIC_NAMES: Final = tuple(field.name for field in fields(Metrics) if field.name != "wrong_side")


def metrics(
    terms: Terms, model: HeatModel = HeatModel.LIQUIDATION, weights: HeatWeights = DEFAULT_WEIGHTS
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
                price, liquidation, distance, known.hourly_volatility_ratio
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
    price_usd: Numbers,
    liquidation_price_usd: Numbers,
    distance_usd: Numbers,
    hourly_volatility_ratio: Numbers,
    horizon_hours: float = HORIZON_HOURS,
) -> Numbers:
    """Chance, 0 to 1, that a log price without drift touches ln L within the horizon (reflection
    principle).

    1 at or past liquidation; absent without volatility.
    """
    reach = hourly_volatility_ratio * np.sqrt(horizon_hours)
    # 2 * Phi(-x) = erfc(x / sqrt 2)
    chance = _erfc(np.abs(np.log(price_usd / liquidation_price_usd)) / (reach * np.sqrt(2.0)))
    return np.where((distance_usd <= 0) & (reach > 0), 1.0, chance)


# Coefficients of erfc, Numerical Recipes 3rd edition, 6.2.2; relative error < 1e-13 up to 20.
_ERFC: Final = (
    -1.3026537197817094,
    6.4196979235649026e-1,
    1.9476473204185836e-2,
    -9.561514786808631e-3,
    -9.46595344482036e-4,
    3.66839497852761e-4,
    4.2523324806907e-5,
    -2.0278578112534e-5,
    -1.624290004647e-6,
    1.303655835580e-6,
    1.5626441722e-8,
    -8.5238095915e-8,
    6.529054439e-9,
    5.059343495e-9,
    -9.91364156e-10,
    -2.27365122e-10,
    9.6467911e-11,
    2.394038e-12,
    -6.886027e-12,
    8.94487e-13,
    3.13092e-13,
    -1.12708e-13,
    3.81e-16,
    7.106e-15,
    -1.523e-15,
    -9.4e-17,
    1.21e-16,
    -2.8e-17,
)


def _erfc(values: Numbers) -> Numbers:
    """Complementary error function of values >= 0; numpy has none."""
    step = 2.0 / (2.0 + values)
    doubled = 4.0 * step - 2.0
    older, newer = np.zeros_like(values), np.zeros_like(values)
    for coefficient in _ERFC[:0:-1]:
        older, newer = newer, doubled * newer - older + coefficient
    return step * np.exp(-values * values + 0.5 * (_ERFC[0] + doubled * newer) - older)


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
