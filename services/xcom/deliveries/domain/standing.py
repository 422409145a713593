"""How a message that is shown somewhere stands by now, and what it reads then. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from services.xcom.domain.messages import DeliveryAttempt, Level


class Standing(IntEnum):
    """What a posted message says of its incident; it only ever goes up."""

    RAISED = 0
    WORSE = 1
    ACKNOWLEDGED = 2
    RESOLVED = 3


@dataclass(frozen=True, slots=True)
class Posted:
    """A delivery that a channel shows as `posted_id`, and how its incident stands by now."""

    attempt: DeliveryAttempt
    posted_id: str
    standing: Standing
    acknowledged_by: str
    acknowledged_time: datetime | None
    worse_level: Level | None
    ended_time: datetime | None

    @property
    def head(self) -> str:
        """The line above what was posted first."""
        if self.standing is Standing.RESOLVED:
            return f"RESOLVED{_at(self.ended_time)}"
        if self.standing is Standing.ACKNOWLEDGED:
            by = f" by {self.acknowledged_by}" if self.acknowledged_by else ""
            return f"ACKNOWLEDGED{by}{_at(self.acknowledged_time)}"
        if self.standing is Standing.WORSE:
            level = f": {self.worse_level.name}" if self.worse_level is not None else ""
            return f"WORSE{level}, see the message below"
        return ""

    @property
    def is_open(self) -> bool:
        """Whether it may still be answered."""
        return self.standing in (Standing.RAISED, Standing.WORSE)


def _at(moment: datetime | None) -> str:
    return f" at {moment:%H:%M} UTC" if moment is not None else ""
