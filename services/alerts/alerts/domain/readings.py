"""What is known now of positions, portfolio and prices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from services.alerts.alerts.domain.accounts import NO_ACCOUNTS, Accounts
from services.alerts.alerts.domain.estimates import NO_FROZEN, FrozenMarks
from services.alerts.alerts.domain.extremes import NO_EXTREMES, Extremes
from services.alerts.domain.kinds import METRICS, AlertClass, AlertType

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# Numbers of positions' Status and Flag.
HELD = (1, 2)
_ACTIVE = 1
_MARK_STALE_BIT = 1 << 5
_ROW_REFUSED_BIT = 1 << 8
_DEMO_BIT = 1 << 7
_MARK_FROZEN_BIT = 1 << 12
_SPOT_BIT = 1 << 13

# Classes whose figures come from positions.
READ_FROM_POSITIONS = (AlertClass.POSITION, AlertClass.PORTFOLIO, AlertClass.ACCOUNT)
MARK_PRICE = "mark_price_usd"
FIGURES = (
    "entry_price_usd",
    MARK_PRICE,
    "risk_liquidation_price_usd",
    "size_usd",
    "pnl_usd",
    "pnl_after_fees_usd",
    "travel_percent",
    "liquidation_distance_usd",
    "liquidation_distance_percent",
    "heat_index",
    "liquidation_probability",
)


@dataclass(frozen=True, slots=True)
class Positions:
    """Columns of ACTIVE and STALE positions by key; NaN is absent, `figures` as FIGURES."""

    membership_epoch: int
    position_key: Integers
    status: Integers
    flag_bits: Integers
    observed_micros: Integers
    figures: Mapping[str, Floats]
    # Number of the model of liquidation_probability, by asset name; none is 0.
    probability_models: Mapping[str, int] = field(default_factory=dict)
    extremes: Extremes = NO_EXTREMES
    # The last event of positions that their pass knows.
    event_sequence: int = 0
    accounts: Accounts = NO_ACCOUNTS
    frozen: FrozenMarks = NO_FROZEN

    def __len__(self) -> int:
        return len(self.position_key)

    @property
    def stale(self) -> NDArray[np.bool_]:
        """Missing from its venue's last answer, or refused in it: stale whatever its mark says; a
        mark that stands still says nothing new, however often it is looked at.
        """
        doubtful = self.flag_bits & (_MARK_STALE_BIT | _ROW_REFUSED_BIT | _MARK_FROZEN_BIT) != 0
        old: NDArray[np.bool_] = doubtful | (self.status != _ACTIVE)
        return old

    @property
    def lost(self) -> NDArray[np.bool_]:
        """Missing or refused: neither how much is held of them is known."""
        refused = self.flag_bits & _ROW_REFUSED_BIT != 0
        lost: NDArray[np.bool_] = refused | (self.status != _ACTIVE)
        return lost

    @property
    def spot(self) -> NDArray[np.bool_]:
        """Spot balances: nothing liquidates them."""
        found: NDArray[np.bool_] = self.flag_bits & _SPOT_BIT != 0
        return found

    @property
    def is_demo(self) -> bool | None:
        """Whether simulated; None when nothing is held."""
        return bool((self.flag_bits & _DEMO_BIT != 0).any()) if len(self) else None

    def rows_of(self, keys: Integers) -> Integers:
        """Row of each key; -1 for one that is not held."""
        if not len(self):
            return np.full(len(keys), -1)
        rows = np.searchsorted(self.position_key, keys).clip(max=len(self) - 1)
        return np.where(self.position_key[rows] == keys, rows, -1)

    def metric(self, alert_type: AlertType) -> Floats:
        """Values of one type; profit is after fees where the venue says so."""
        first, *second = _figures_of(alert_type)
        values = self.figures[first]
        return np.where(np.isnan(values), self.figures[second[0]], values) if second else values


def _figures_of(alert_type: AlertType) -> tuple[str, ...]:
    """The figure of a type, and the one that stands in where it is absent."""
    if alert_type is AlertType.PROFIT:
        return "pnl_after_fees_usd", "pnl_usd"
    return (METRICS[alert_type].name,)


_NO_NUMBERS = np.empty(0, np.int64)
NOTHING_HELD = Positions(
    0, _NO_NUMBERS, _NO_NUMBERS, _NO_NUMBERS, _NO_NUMBERS, {name: np.empty(0) for name in FIGURES}
)


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading; None is absent. `stale_by_rows`: it is stale by nothing but positions that are,
    and so holds only what they could change.
    """

    value: float | None
    observed_micros: int
    stale: bool = False
    stale_by_rows: bool = False


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything an evaluation reads. An asset that is not in `prices` was not asked for.

    Ages are by `now_micros`; cooldowns and holds by `steady_micros`, which no step of the clock
    moves.
    """

    positions: Positions
    totals: Mapping[AlertType, Reading]
    prices: Mapping[str, Reading]
    now_micros: int
    guarded_micros: int
    # Positions could not be read: that nothing is held is then not known.
    unread: bool = False
    # Soon after a restore: see `due`.
    fresh_only: bool = False
