"""Stretches of trading, the strategy, brokers: what they are and how they are judged."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

import numpy as np


class SessionStatus(IntEnum):
    """Life of a session; the numbers are those of the proto."""

    OPEN = 1
    ENDED = 2


@dataclass(frozen=True, slots=True)
class Session:
    """USD; while OPEN the last three figures are those of now."""

    id: str
    name: str
    note: str
    status: SessionStatus
    started_time: datetime
    ended_time: datetime | None
    start_value_usd: float
    value_usd: float
    max_drawdown_usd: float
    max_drawdown_percent: float | None

    @property
    def performance_usd(self) -> float:
        """Value less start value; money moved in or out counts."""
        return self.value_usd - self.start_value_usd

    @property
    def return_percent(self) -> float | None:
        """Performance as percent of the start value."""
        return percent_of(self.performance_usd, self.start_value_usd)


@dataclass(frozen=True, slots=True)
class Strategy:
    """The owner's start value (None until entered) and words; the value of the portfolio now."""

    start_value_usd: float | None
    description: str
    updated_time: datetime | None
    value_usd: float = 0.0

    @property
    def performance_usd(self) -> float | None:
        """Value less start value; None without one."""
        return None if self.start_value_usd is None else self.value_usd - self.start_value_usd

    @property
    def return_percent(self) -> float | None:
        """Performance as percent of the start value."""
        if self.performance_usd is None or self.start_value_usd is None:
            return None
        return percent_of(self.performance_usd, self.start_value_usd)


@dataclass(frozen=True, slots=True)
class Broker:
    """A place outside the system where money lies; None = not entered."""

    name: str
    image_path: str
    web_address: str
    total_holding_usd: float | None
    created_time: datetime
    updated_time: datetime


def percent_of(part: float, whole: float) -> float | None:
    """100 * part / whole; None unless whole > 0."""
    return 100.0 * part / whole + 0.0 if whole > 0 else None


def drawdown(values_usd: Sequence[float]) -> tuple[float, float | None]:
    """The deepest fall from an earlier peak, USD and percent of the peak; each the deepest of its
    kind.

    Percent is None when no peak is above 0.
    """
    values = np.array(values_usd, np.float64)
    if not len(values):
        return 0.0, None
    peaks = np.maximum.accumulate(values)
    falls = peaks - values
    above = peaks > 0
    return float(falls.max()), float(
        (100.0 * falls[above] / peaks[above]).max()
    ) if above.any() else None
