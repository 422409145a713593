"""How much may be sent on a channel now, and when what waits becomes one message. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Budget:
    """Sends of a channel within a window. `reserve_count` of them are left for HIGH, which never
    waits.
    """

    count: int = 40
    window: timedelta = timedelta(seconds=60)
    reserve_count: int = 10

    def left(self, used_count: int, quiet_count: int | None = None) -> int:
        """Quiet sends still free; those of HIGH count as used too."""
        own = quiet_count if quiet_count is not None else self.count - self.reserve_count
        return max(own - used_count, 0)
