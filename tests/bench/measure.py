"""Figures: samples in milliseconds, optionally beside a floor of the same run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the result; times in milliseconds."""

    what: str
    samples_ms: Sequence[float]
    beside: str = ""
    floor_ms: Sequence[float] = field(default_factory=tuple)
    goal: str = ""

    def percentile(self, share: float, samples: Sequence[float] | None = None) -> float:
        """A percentile of the samples, or of the floor's."""
        return float(np.percentile(self.samples_ms if samples is None else samples, share))

    def ratio(self, share: float) -> float | None:
        """The percentile over the floor's; None without a floor."""
        return (
            self.percentile(share) / self.percentile(share, self.floor_ms)
            if len(self.floor_ms)
            else None
        )

    def cells(self) -> list[str]:
        """The line as text."""
        ratios = [self.ratio(50), self.ratio(99)]
        return [
            self.what,
            *(f"{self.percentile(share):.2f} ms" for share in (50, 90, 99)),
            f"{self.beside} {self.percentile(50, self.floor_ms):.2f} ms"
            if len(self.floor_ms)
            else "",
            *("" if ratio is None else f"{ratio:.2f}" for ratio in ratios),
            self.goal,
        ]

    def as_dict(self) -> dict[str, object]:
        """The line for scripts."""
        return {
            "what": self.what,
            "p50_ms": self.percentile(50),
            "p90_ms": self.percentile(90),
            "p99_ms": self.percentile(99),
            "beside": self.beside,
            "ratio_p50": self.ratio(50),
            "ratio_p99": self.ratio(99),
            "goal": self.goal,
        }
