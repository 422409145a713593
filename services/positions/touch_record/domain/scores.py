"""How good probabilities were: Brier score with its decomposition, log score, reliability; pure.

Decomposition: Dimitriadis, Gneiting, Jordan, "Stable reliability diagrams for probabilistic
classifiers", PNAS 118 (2021): recalibrated by isotonic regression (CORP), without bins.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf, nan, sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.positions.touch_record.domain.statements import AssetStatements
from shared.touch import HORIZON_HOURS, TouchModel, normal

Numbers = NDArray[np.float64]
Flags = NDArray[np.bool_]

# The bins of `sonic calibration --candles`.
EDGES: Final = (0.0, 0.01, 0.05, 0.15, 0.3, 0.5, 0.8, 1.0)
_HORIZON_SECONDS: Final = HORIZON_HOURS * 3600
# A law that says "never" and is wrong would make every mean infinite.
_LEAST_CHANCE: Final = 1e-6
_Z_95: Final = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Decomposition:
    """brier = miscalibration - discrimination + uncertainty, exactly; all >= 0."""

    brier: float
    miscalibration: float
    discrimination: float
    uncertainty: float


@dataclass(frozen=True, slots=True)
class Bin:
    """Statements of one range: lowest <= said < highest (of the last one also 1). Shares 0 to 1,
    NaN without any. `independent_count`: of horizons that do not overlap, by which the Wilson
    interval of 95 % is made.
    """

    lowest: float
    highest: float
    said: float
    happened: float
    interval_low: float
    interval_high: float
    count: int
    touched_count: int
    independent_count: int


@dataclass(frozen=True, slots=True)
class Scores:
    """Of one asset, or of all (empty): means over statements; NaN without any, or without a sigma.

    `constant_*`: the normal law with the one sigma of the whole record; `climatology_*`: the share
    of all statements that came true, said of each. Both know the record they are scored on.
    """

    asset: str
    statement_count: int
    touched_count: int
    empirical_count: int
    independent_count: int
    decomposition: Decomposition
    log_score: float
    constant_brier: float
    constant_log_score: float
    climatology_log_score: float
    constant_sigma: float
    bins: tuple[Bin, ...]


@dataclass(frozen=True, slots=True)
class _Flat:
    said: Numbers
    touched: Flags
    constant: Numbers
    seconds: Numbers


def scores(asset: str, scored: Sequence[AssetStatements]) -> Scores:
    """Of these, all SCORED; the constant sigma is each asset's own."""
    sigma = _constant_sigmas(scored)
    flat = _flat(scored, sigma)
    count = len(flat.said)
    base = np.full(count, flat.touched.mean() if count else nan)
    known = ~np.isnan(flat.constant)
    return Scores(
        asset,
        count,
        int(np.count_nonzero(flat.touched)),
        sum(len(one) for one in scored if one.model is TouchModel.EMPIRICAL),
        independent_count(flat.seconds),
        decomposition(flat.said, flat.touched),
        log_score(flat.said, flat.touched),
        _brier(flat.constant[known], flat.touched[known]),
        log_score(flat.constant[known], flat.touched[known]),
        log_score(base, flat.touched),
        sigma.get(asset, nan),
        tuple(_bin(lowest, highest, flat) for lowest, highest in pairwise(EDGES)),
    )


def _constant_sigmas(scored: Sequence[AssetStatements]) -> dict[str, float]:
    """Root of the mean square of what was known at each hour, by asset."""
    squares: dict[str, list[float]] = {}
    for one in scored:
        if one.sigma > 0:
            squares.setdefault(one.asset, []).append(one.sigma**2)
    return {asset: sqrt(sum(found) / len(found)) for asset, found in squares.items()}


def _flat(scored: Sequence[AssetStatements], sigmas: dict[str, float]) -> _Flat:
    if not scored:
        return _Flat(np.empty(0), np.empty(0, np.bool_), *np.empty((2, 0)))
    reach = [sigmas.get(one.asset, nan) * sqrt(HORIZON_HOURS) for one in scored]
    return _Flat(
        np.concatenate([one.probabilities for one in scored]),
        np.concatenate([one.touched for one in scored]),
        np.concatenate([normal(one.away / way) for one, way in zip(scored, reach, strict=True)]),
        np.repeat([one.stated_time.timestamp() for one in scored], [len(one) for one in scored]),
    )


def independent_count(seconds: Numbers) -> int:
    """How many of these moments can be chosen whose horizons do not overlap, of all assets
    together: they move together.
    """
    count, free_from = 0, -inf
    for moment in np.unique(seconds).tolist():
        if moment >= free_from:
            count, free_from = count + 1, moment + _HORIZON_SECONDS
    return count


def decomposition(said: Numbers, happened: Flags) -> Decomposition:
    """See the head of this module; NaN without statements."""
    if not len(said):
        return Decomposition(nan, nan, nan, nan)
    brier = _brier(said, happened)
    share = float(happened.mean())
    recalibrated = _brier(isotonic(said, happened), happened)
    uncertainty = share * (1 - share)
    # Never better than the best: what rounding leaves below 0 is 0.
    return Decomposition(
        brier, max(brier - recalibrated, 0.0), max(uncertainty - recalibrated, 0.0), uncertainty
    )


def isotonic(said: Numbers, happened: Flags) -> Numbers:
    """The rising function of what was said that is nearest to what happened: pools of neighbours
    that violate the order (PAV). Equal statements get one value.
    """
    values, places, counts = np.unique(said, return_inverse=True, return_counts=True)
    sums = np.bincount(places, weights=happened.astype(np.float64), minlength=len(values))
    pools: list[tuple[float, int, int]] = []
    for total, count in zip(sums.tolist(), counts.tolist(), strict=True):
        pool = (total, count, 1)
        while pools and pools[-1][0] * pool[1] >= pool[0] * pools[-1][1]:
            before = pools.pop()
            pool = (before[0] + pool[0], before[1] + pool[1], before[2] + pool[2])
        pools.append(pool)
    means = [total / count for total, count, _ in pools]
    return np.repeat(means, [width for *_, width in pools])[places]


def log_score(said: Numbers, happened: Flags) -> float:
    """Mean of -ln(what was said of what happened), chances held to 1e-6 from 0 and 1."""
    if not len(said):
        return nan
    held = np.clip(said, _LEAST_CHANCE, 1 - _LEAST_CHANCE)
    return float(-np.log(np.where(happened, held, 1 - held)).mean())


def wilson(share: float, count: float) -> tuple[float, float]:
    """The interval of 95 % of a share, 0 to 1 (Wilson 1927); 0 to 1 without any."""
    if not count:
        return 0.0, 1.0
    square = _Z_95**2 / count
    middle = (share + square / 2) / (1 + square)
    half = _Z_95 / (1 + square) * sqrt(share * (1 - share) / count + square / (4 * count))
    return max(middle - half, 0.0), min(middle + half, 1.0)


def _brier(said: Numbers, happened: Flags) -> float:
    return float(np.mean((said - happened) ** 2)) if len(said) else nan


def bin_of(chance: float) -> int:
    """Which bin holds a chance of 0 to 1."""
    return min(int(np.searchsorted(EDGES, chance, side="right")) - 1, len(EDGES) - 2)


def _bin(lowest: float, highest: float, flat: _Flat) -> Bin:
    here = (flat.said >= lowest) & ((flat.said < highest) | (highest == EDGES[-1]))
    count, touched = int(np.count_nonzero(here)), int(np.count_nonzero(flat.touched & here))
    independent = independent_count(flat.seconds[here])
    said = float(flat.said[here].mean()) if count else nan
    share = touched / count if count else nan
    ends = wilson(share, independent)
    return Bin(lowest, highest, said, share, *ends, count, touched, independent)
