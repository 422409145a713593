"""How long what is past stays."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Self


@dataclass(frozen=True, slots=True)
class Ages:
    """Of ended cycles and the log, of its lines that say what a step did and found nothing wrong
    (the cycle's own row says it too), and of reports.
    """

    cycles: timedelta
    step_lines: timedelta
    reports: timedelta

    @classmethod
    def of_days(cls, cycles: float, step_lines: float, reports: float) -> Self:
        return cls(timedelta(cycles), timedelta(step_lines), timedelta(reports))
