"""Badges as kept, and what dismissing one hides: the subjects shown, while no worse."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from services.monitor.domain.findings import Badge, Level, Part

# A value comes back when it is worse by this share of what was dismissed.
_WORSE_RATIO = 0.05
_NUMBERS = re.compile(r"[-+]?\d[\d.,]*")


@dataclass(frozen=True, slots=True)
class Dismissal:
    """Somebody has seen a subject's part at this level and badness."""

    subject: str
    level: Level
    badness: float | None = None


@dataclass(frozen=True, slots=True)
class KeptBadge:
    """A badge as set, what was dismissed of it by subject; `demo`: of simulated positions."""

    badge: Badge
    monitor: str
    badge_time: datetime
    dismissals: Mapping[str, Dismissal] = field(default_factory=dict)
    demo: bool = False

    @property
    def shown(self) -> Badge | None:
        """What is left to show; None when all of it is dismissed."""
        parts = parts_of(self.badge)
        left = [part for part in parts if not _is_hidden(part, self.dismissals.get(part.subject))]
        if not left:
            return None
        if len(left) == len(parts):
            return self.badge
        value = ", ".join(part.value for part in left) if self.badge.listed else left[0].value
        level = max(part.level for part in left)
        stale = any(part.stale for part in left)
        return replace(self.badge, value=value, level=level, stale=stale, parts=tuple(left))

    @property
    def dismissed(self) -> bool:
        """Nothing of it is left to show."""
        return self.shown is None


def parts_of(badge: Badge) -> tuple[Part, ...]:
    """Its parts; a badge without any is one, whose subject is its words: another number is the same
    subject, other words are another one.
    """
    whole = Part(_NUMBERS.sub("#", badge.value), badge.value, badge.level, badge.stale)
    return badge.parts or (whole,)


def dismissed_parts(kept: KeptBadge, subject: str, level: Level | None) -> list[Dismissal]:
    """What dismissing hides: the subject's part, or what is shown; not above `level`."""
    if subject:
        parts = [part for part in parts_of(kept.badge) if part.subject == subject]
    else:
        shown = parts_of(kept.shown or kept.badge)
        parts = list(shown if kept.badge.listed else shown[:1])
    return [Dismissal(part.subject, _lower(part.level, level), part.badness) for part in parts]


def outlived(kept: KeptBadge, badge: Badge) -> tuple[list[str], list[Dismissal]]:
    """Of the dismissals those whose subject the new badge does not name any more, and those that
    now hold at a lower level: from there on a rise is news again.
    """
    parts = {part.subject: part for part in parts_of(badge)}
    gone = [subject for subject in kept.dismissals if subject not in parts]
    lowered = [
        replace(one, level=parts[subject].level)
        for subject, one in kept.dismissals.items()
        if subject in parts and parts[subject].level < one.level
    ]
    return gone, lowered


def worst_first(parts: Sequence[Part]) -> tuple[Part, ...]:
    """By level, then by badness; of equals the first stays first."""
    return tuple(sorted(parts, key=lambda part: (-part.level, -(part.badness or 0.0))))


def _is_hidden(part: Part, dismissal: Dismissal | None) -> bool:
    if dismissal is None or part.level > dismissal.level:
        return False
    if part.badness is None or dismissal.badness is None:
        return True
    return part.badness <= dismissal.badness + abs(dismissal.badness) * _WORSE_RATIO


def _lower(one: Level, other: Level | None) -> Level:
    return one if other is None else min(one, other)
