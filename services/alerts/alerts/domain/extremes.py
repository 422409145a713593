"""What the price did between two evaluations: it raises levels as the mark does, lowers none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from services.alerts.alerts.domain.alert_columns import JUDGED_BIT
from services.alerts.alerts.domain.at_price import OF_PRICE, values_at
from services.alerts.domain.kinds import AlertType
from services.alerts.domain.levels import raw_level

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Levels = NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Unseen:
    """A stretch in which an asset's extremes are not known, in words of its reason."""

    asset: str
    start_time: datetime
    end_time: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Extremes:
    """Worst price of each position since the last evaluation and the start of its minute; NaN and 0
    where none is known. Columns are empty when nobody asked. `sources` by asset name.
    """

    price_usd: Floats
    micros: Integers
    sources: Mapping[str, str]
    until_micros: int = 0
    unseen: Sequence[Unseen] = ()

    def pick(self, rows: NDArray[np.bool_] | slice) -> Extremes:
        return replace(self, price_usd=self.price_usd[rows], micros=self.micros[rows])


NO_EXTREMES = Extremes(np.empty(0), np.empty(0, np.int64), {})


def touched_values(
    alert_type: AlertType, extremes: Extremes, figures: Mapping[str, Floats]
) -> Floats | None:
    """What distance or travel of each position was at the extreme, by their formulas; None of other
    types, or when no extremes were asked for.
    """
    if not len(extremes.price_usd) or alert_type not in OF_PRICE:
        return None
    return values_at(alert_type, extremes.price_usd, figures)


@dataclass(frozen=True, slots=True)
class Limits:
    """Of the rows of one type: which are judged, +1 where high is dangerous, the first edge times
    that, and the limits of rows by their number.
    """

    judged: NDArray[np.bool_]
    sign: NDArray[np.int8]
    nearest: Floats
    limits_of: Callable[[Integers], Floats]


@dataclass(frozen=True, slots=True)
class Touches:
    """Rows, rising, that the extreme since the last evaluation raises above what the mark makes of
    them, to which level, and the value it was at.
    """

    rows: Integers
    level: Levels
    value: Floats

    def raised(self, level: Levels, falling: Levels) -> tuple[Levels, Levels]:
        """An extreme raises and never holds: falling counts by the marks, from the next one on."""
        if not len(self.rows):
            return level, falling
        level, falling = level.copy(), falling.copy()
        level[self.rows], falling[self.rows] = self.level, JUDGED_BIT
        return level, falling

    def value_of(self, changed: Integers) -> Floats:
        """Of each changed row; NaN where the extreme did not raise it."""
        found = np.full(len(changed), np.nan)
        if len(self.rows):
            places = np.searchsorted(self.rows, changed).clip(max=len(self.rows) - 1)
            here = self.rows[places] == changed
            found[here] = self.value[places[here]]
        return found


NO_TOUCHES = Touches(np.empty(0, np.int64), np.empty(0, np.int8), np.empty(0))


def touches(
    rows: Integers, value: Floats, level: Levels, was_known: NDArray[np.bool_], limits: Limits
) -> Touches:
    """Of rows of one type with their values at the extreme; `level`: before and by the mark, the
    higher one. A row that had no reading before is of a position that was not held then, or not
    looked at: what the price did before says nothing of it.
    """
    with np.errstate(invalid="ignore"):
        reached = value * limits.sign >= limits.nearest
    here = np.flatnonzero(limits.judged & was_known & reached)
    if not len(here):
        return NO_TOUCHES
    rows, value = rows[here], value[here]
    found = raw_level(value, limits.limits_of(rows), limits.sign[here].astype(np.float64))
    higher = found > level[here]
    return Touches(rows[higher], found[higher], value[higher])


def joined(parts: Sequence[Touches]) -> Touches:
    """Of several types."""
    parts = [one for one in parts if len(one.rows)]
    if not parts:
        return NO_TOUCHES
    order = np.argsort(np.concatenate([one.rows for one in parts]), kind="stable")
    return Touches(
        *(
            np.concatenate([getattr(one, name) for one in parts])[order]
            for name in ("rows", "level", "value")
        )
    )
