"""What a probability said beside what happened: statements, Brier score, bins; pure, numpy."""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.touch import (
    HORIZON_HOURS,
    LEAST_STARTS,
    START_WINDOW_HOURS,
    Hours,
    Numbers,
    moves,
    normal,
    sigmas,
)

DISTANCES_PERCENT: Final = (1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 15.0, 20.0)
EDGES_PERCENT: Final = (0.0, 1.0, 5.0, 15.0, 30.0, 50.0, 80.0, 100.0)


@dataclass(frozen=True, slots=True)
class Statements:
    """A column an hour, side and distance: what each law said, 0 to 1, and whether it happened."""

    normal: Numbers
    empirical: Numbers
    happened: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.happened)


@dataclass(frozen=True, slots=True)
class Bin:
    """Statements of one range of probability; means in percent, NaN without any."""

    lowest_percent: float
    highest_percent: float
    said_percent: float
    happened_percent: float
    count: int


def statements(hours: Hours, horizon_hours: int = HORIZON_HOURS) -> Statements:
    """Of every hour after the first year, whether the close touches levels at these distances, up
    and down, within the horizon; each by what was known at that hour alone.
    """
    sigma = sigmas(hours.hour, hours.close)
    known = moves(hours, horizon_hours)
    asked = np.flatnonzero(
        (hours.hour >= hours.hour[0] + START_WINDOW_HOURS) & ~np.isnan(known.up)
        if len(hours)
        else np.zeros(0, np.bool_)
    )
    reach = sigma[asked] * np.sqrt(horizon_hours)
    parts = []
    for column, sign in ((known.up, 1.0), (known.down, -1.0)):
        away = np.abs(np.log1p(sign * np.array(DISTANCES_PERCENT) / 100.0))
        distance = away / reach[:, None]
        said = _empirical(hours.hour, column, asked, distance, horizon_hours)
        parts.append((normal(distance), said, column[asked, None] >= distance))
    return Statements(*(np.concatenate([part[n] for part in parts]).ravel() for n in range(3)))


def _empirical(
    hour: NDArray[np.int64],
    column: Numbers,
    asked: NDArray[np.int64],
    distance: Numbers,
    horizon_hours: int,
) -> Numbers:
    """`shared.touch.empirical` at each asked hour, over a history that moves along; NORMAL where it
    is too short.
    """
    past: list[float] = []
    added = dropped = 0
    values, hours = column.tolist(), hour.tolist()
    said = normal(distance)
    for row, place in enumerate(asked.tolist()):
        for start in range(added, place - horizon_hours + 1):
            if values[start] == values[start]:
                insort(past, values[start])
            added = start + 1
        while hours[dropped] <= hours[place] - START_WINDOW_HOURS:
            if dropped < added and values[dropped] == values[dropped]:
                del past[bisect_left(past, values[dropped])]
            dropped += 1
        if len(past) >= LEAST_STARTS:
            reached = [len(past) - bisect_left(past, one) for one in distance[row].tolist()]
            said[row] = (np.array(reached) + 0.5) / (len(past) + 1.0)
    return said


def brier_score(said: Numbers, happened: NDArray[np.bool_]) -> float:
    """Mean of (said - happened) squared; NaN without statements."""
    return float(np.mean((said - happened) ** 2)) if len(said) else float("nan")


def bins(said: Numbers, happened: NDArray[np.bool_]) -> list[Bin]:
    """The statements by what they said."""
    found = []
    for lowest, highest in pairwise(EDGES_PERCENT):
        here = (said * 100.0 >= lowest) & ((said * 100.0 < highest) | (highest == 100.0))
        count = int(np.count_nonzero(here))
        means = (
            (float(said[here].mean()) * 100.0, float(happened[here].mean()) * 100.0)
            if count
            else (float("nan"), float("nan"))
        )
        found.append(Bin(lowest, highest, *means, count))
    return found
