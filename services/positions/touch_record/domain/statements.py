"""What the touch probability says of one asset at one moment, and what its horizon did; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from math import nan
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shared.touch import HORIZON_HOURS, TouchModel

Column = NDArray[Any]
Numbers = NDArray[np.float64]

HORIZON: Final = timedelta(hours=HORIZON_HOURS)
# Of more positions of one asset so many speak, evenly spread over their probabilities.
MOST_STATEMENTS: Final = 100
# Candles of providers come late; after this long an outcome that is not known stays so.
GIVEN_UP: Final = timedelta(hours=24)
MINUTES_MISSING: Final = "MINUTES_MISSING"
_MINUTE: Final = timedelta(minutes=1)
_MINUTE_SECONDS: Final = 60


class StatementState(IntEnum):
    """WAITING: the horizon is not over, or its prices are not known yet. UNSCORED: they never will
    be; whether the level was touched is not known.
    """

    WAITING = 1
    SCORED = 2
    UNSCORED = 3


@dataclass(frozen=True, slots=True)
class AssetStatements:
    """All statements of one asset at one moment, columns of one length; 0 < probability < 1.

    `away`: |ln(mark / liquidation price)|, > 0. `sigma`: of hourly log returns then; NaN when it
    was not known. `high_usd`, `low_usd`: of the horizon, NaN unless SCORED.
    """

    market: int
    asset: str
    stated_time: datetime
    until_time: datetime
    model: TouchModel
    sigma: float
    side_signs: NDArray[np.int8]
    away: Numbers
    liquidation_prices_usd: Numbers
    probabilities: Numbers
    state: StatementState = StatementState.WAITING
    high_usd: float = nan
    low_usd: float = nan
    reason: str = ""

    def __len__(self) -> int:
        return len(self.probabilities)

    @property
    def touched(self) -> NDArray[np.bool_]:
        """Of a SCORED one, which levels the price reached; to reach one exactly is to touch it."""
        return np.where(
            self.side_signs > 0,
            self.low_usd <= self.liquidation_prices_usd,
            self.high_usd >= self.liquidation_prices_usd,
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a horizon: its highest and lowest price, or why they are not known."""

    state: StatementState
    high_usd: float = nan
    low_usd: float = nan
    reason: str = ""


def stated(
    columns: Mapping[str, Column],
    asset_names: Sequence[str],
    asset_models: Sequence[TouchModel | None],
    sigmas: Mapping[str, float],
    market: int,
    now: datetime,
) -> list[AssetStatements]:
    """What a pass says, by asset. Left out: stale positions, which speak of an older moment; those
    without a probability; and those at or past their level, of which nothing is left to be said.
    """
    mark, level = columns["mark_price_usd"], columns["risk_liquidation_price_usd"]
    side, chance = columns["side_sign"], columns["liquidation_probability"]
    with np.errstate(all="ignore"):
        away = side * np.log(mark / level)
        said = (away > 0) & (chance >= 0) & (chance <= 1) & ~columns["stale"].astype(bool)
    found = []
    for place in np.unique(columns["asset_index"][said]).tolist():
        rows = np.flatnonzero(said & (columns["asset_index"] == place))
        rows = _spread(rows[np.argsort(chance[rows], kind="stable")])
        name, model = asset_names[place], asset_models[place]
        found.append(
            AssetStatements(
                market,
                name,
                now,
                now + HORIZON,
                model or TouchModel.NORMAL,
                sigmas.get(name, nan),
                side[rows].astype(np.int8),
                away[rows].astype(np.float64),
                level[rows].astype(np.float64),
                chance[rows].astype(np.float64),
            )
        )
    return found


def _spread(rows: Column) -> Column:
    if len(rows) <= MOST_STATEMENTS:
        return rows
    return rows[np.linspace(0, len(rows) - 1, MOST_STATEMENTS).round().astype(np.int64)]


def stretch(one: AssetStatements) -> tuple[datetime, datetime]:
    """The whole minutes within its horizon: the first begins after the statement, so that nothing
    that was before it counts.
    """
    start, end = (
        moment.replace(second=0, microsecond=0) for moment in (one.stated_time, one.until_time)
    )
    return start + _MINUTE, end


def outcome(
    one: AssetStatements,
    minute: NDArray[np.int64],
    high_usd: Numbers,
    low_usd: Numbers,
    failure: str,
    now: datetime,
) -> Outcome:
    """SCORED only when every minute of the horizon is known. One that is missing leaves it open
    also where a touch was seen, or only touches would count; WAITING until it is given up.
    """
    start, end = (int(moment.timestamp()) // _MINUTE_SECONDS for moment in stretch(one))
    inside = (minute >= start) & (minute < end)
    if len(np.unique(minute[inside])) == end - start:
        return Outcome(
            StatementState.SCORED, float(high_usd[inside].max()), float(low_usd[inside].min())
        )
    reason = failure or MINUTES_MISSING
    given_up = now >= one.until_time + GIVEN_UP
    return Outcome(StatementState.UNSCORED if given_up else StatementState.WAITING, reason=reason)
