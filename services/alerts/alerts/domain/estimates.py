"""Positions by a venue's mark that stands still: what they are at by the market price. It raises
levels, lowers none, and is shown beside what the mark says, marked ESTIMATED.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.alerts.alerts.domain.at_price import OF_PRICE, values_at
from services.alerts.domain.kinds import AlertType

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class FrozenMarks:
    """Of each position since when its mark stands still, 0: it moves; and the market price of
    those, NaN: none. Columns are empty while every mark moves.
    """

    since_micros: Integers
    price_usd: Floats

    def __bool__(self) -> bool:
        return len(self.since_micros) > 0

    def pick(self, rows: NDArray[np.bool_] | slice) -> FrozenMarks:
        return replace(self, since_micros=self.since_micros[rows], price_usd=self.price_usd[rows])


NO_FROZEN: Final = FrozenMarks(np.empty(0, np.int64), np.empty(0))
_KEPT: Final = np.dtype(
    [("position_key", "<i8"), ("since_micros", "<i8"), *((kind.name, "<f8") for kind in OF_PRICE)]
)


@dataclass(frozen=True, slots=True)
class Estimates:
    """What the last evaluation estimated, of few positions by key."""

    rows: NDArray[np.void]

    def __bool__(self) -> bool:
        return len(self.rows) > 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Estimates) and self.packed() == other.packed()

    def __hash__(self) -> int:
        return hash(self.packed())

    def packed(self) -> bytes:
        return self.rows.tobytes()

    @classmethod
    def unpacked(cls, packed: bytes) -> Estimates:
        return cls(np.frombuffer(packed, _KEPT)) if packed else NO_ESTIMATES

    def of(self, subject_key: int, alert_type: AlertType) -> tuple[float, int]:
        """The estimate of a position in the unit of its metric, NaN: there is none; and since when
        its mark stands still, 0: it moves.
        """
        place = int(np.searchsorted(self.rows["position_key"], subject_key))
        if place >= len(self.rows) or self.rows["position_key"][place] != subject_key:
            return np.nan, 0
        row = self.rows[place]
        value = float(row[alert_type.name]) if alert_type in OF_PRICE else np.nan
        return value, int(row["since_micros"])


NO_ESTIMATES: Final = Estimates(np.empty(0, _KEPT))


def estimated_values(
    alert_type: AlertType, frozen: FrozenMarks, figures: Mapping[str, Floats]
) -> Floats | None:
    """Of each position what distance or travel is by the market price; None of other types, or
    while every mark moves.
    """
    if not frozen or alert_type not in OF_PRICE:
        return None
    return values_at(alert_type, frozen.price_usd, figures)


def estimates(
    position_key: Integers, frozen: FrozenMarks, figures: Mapping[str, Floats]
) -> Estimates:
    """To be kept with an evaluation."""
    where = np.flatnonzero(frozen.since_micros)
    if not len(where):
        return NO_ESTIMATES
    rows = np.zeros(len(where), _KEPT)
    rows["position_key"], rows["since_micros"] = position_key[where], frozen.since_micros[where]
    for alert_type in OF_PRICE:
        rows[alert_type.name] = values_at(alert_type, frozen.price_usd, figures)[where]
    return Estimates(rows)
