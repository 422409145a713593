"""Figures: samples of ours beside samples of a reference made in the same run, and a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

Samples = Sequence[float]


class Verdict(Enum):
    """What a limit says of a figure."""

    MET = "met"
    MISSED = "missed"
    ABSENT = "no figure"
    NONE = ""


@dataclass(frozen=True, slots=True)
class Limit:
    """A bound, inclusive: of the ratio, or of our own value when there is nothing to compare."""

    value: float
    is_least: bool = False
    of_ratio: bool = True

    def holds(self, value: float) -> bool:
        """Whether the value keeps to it."""
        return value >= self.value if self.is_least else value <= self.value

    def words(self, unit: str) -> str:
        """As the table of goals writes it."""
        sign = ">=" if self.is_least else "<="
        return f"{sign} {self.value:g}" + ("" if self.of_ratio else f" {unit}")


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the result. Without samples of ours it says in `note` why there are none.

    The ratio is ours / the reference's; `is_inverse`: the reference's / ours, the more the better.
    `share`: the percentile that is compared.
    """

    goal: str
    what: str
    ours: Samples = ()
    reference: str = ""
    theirs: Samples = ()
    limit: Limit | None = None
    unit: str = "ms"
    is_inverse: bool = False
    share: float = 50
    note: str = ""

    @property
    def value(self) -> float | None:
        """Ours at the compared percentile; None without samples."""
        return percentile(self.ours, self.share)

    @property
    def ratio(self) -> float | None:
        """None without both, or when what stands below is 0."""
        above, below = (self.theirs, self.ours) if self.is_inverse else (self.ours, self.theirs)
        top, bottom = percentile(above, self.share), percentile(below, self.share)
        return top / bottom if top is not None and bottom else None

    @property
    def verdict(self) -> Verdict:
        """Of the limit; a limit without a number is ABSENT, not met."""
        if self.limit is None:
            return Verdict.NONE
        judged = self.ratio if self.limit.of_ratio else self.value
        if judged is None:
            return Verdict.ABSENT
        return Verdict.MET if self.limit.holds(judged) else Verdict.MISSED

    @property
    def goal_words(self) -> str:
        """The limit, or nothing."""
        return self.limit.words(self.unit) if self.limit else ""

    def as_dict(self) -> dict[str, object]:
        """For scripts: medians, spreads and all samples."""
        return {
            "goal": self.goal,
            "what": self.what,
            "unit": self.unit,
            "compared_percentile": self.share,
            "ours": self.value,
            "ours_spread": spread(self.ours),
            "ours_samples": list(self.ours),
            "reference": self.reference,
            "theirs": percentile(self.theirs, self.share),
            "theirs_spread": spread(self.theirs),
            "theirs_samples": list(self.theirs),
            "ratio": self.ratio,
            "ratio_is_inverse": self.is_inverse,
            "limit": self.goal_words,
            "verdict": self.verdict.value,
            "note": self.note,
        }


def absent(goal: str, what: str, why: str, limit: Limit | None = None) -> Figure:
    """A line that says why there is no number."""
    return Figure(goal, what, limit=limit, note=why)


def percentile(samples: Samples, share: float) -> float | None:
    """None without samples."""
    return float(np.percentile(samples, share)) if len(samples) else None


def spread(samples: Samples) -> tuple[float, float] | None:
    """The middle half: first and third quartile; None without samples."""
    if not len(samples):
        return None
    low, high = np.percentile(samples, (25, 75))
    return float(low), float(high)


def shown(samples: Samples, unit: str, share: float = 50) -> str:
    """The compared percentile; a median with the middle half in brackets when there is one."""
    value, half = percentile(samples, share), spread(samples)
    if value is None or half is None:
        return ""
    if len(samples) == 1 or share != 50:
        return f"{number(value)} {unit}"
    return f"{number(value)} {unit} ({number(half[0])} to {number(half[1])})"


def number(value: float) -> str:
    """Three digits that count, thousands apart."""
    if value == 0:
        return "0"
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 0.1 else 4
    return f"{value:,.{digits}f}"
