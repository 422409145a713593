"""Gets a step past a service that refuses its epoch although the lease is ours, and says so once.

Such an epoch was sent by somebody who is no owner, or came of a clock that was set.
"""

from __future__ import annotations

from services.cyclone.loop.lease_keeper import HeldLease
from shared.clock import Clock
from shared.database.fence import SEEN_EPOCH
from shared.errors import SonicError

_REASONS = frozenset({"STALE_EPOCH", "EPOCH_AHEAD"})
_SAID_EVERY_SECONDS = 3600.0


class EpochRecovery:
    """Remembers when it spoke last: who sends such epochs all day is logged once an hour."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._said_at = float("-inf")

    async def opened(self, held_lease: HeldLease, error: SonicError) -> bool:
        """Whether the lease is still ours and has a new epoch, above the one the service saw."""
        if error.reason not in _REASONS:
            return False
        seen = error.metadata.get(SEEN_EPOCH, "")
        return await held_lease.exceed(
            held_lease, int(seen) if seen.isdecimal() and len(seen) < 20 else 0
        )

    def sentence(self, service: str, step: str, error: SonicError) -> str:
        """What to say to people, empty when it was said within the hour."""
        now = self._clock.monotonic()
        if now - self._said_at < _SAID_EVERY_SECONDS:
            return ""
        self._said_at = now
        why = (
            "it had seen a higher one, which the owner of this schedule did not send: somebody "
            "called a step"
            " with the words of a cycle, or a clock was set back"
            if error.reason == "STALE_EPOCH"
            else "it lies ahead of the clock of its database: a clock was set, or the clocks do "
            "not agree"
        )
        return f"{service} refused {step} for its epoch: {why}. With a new epoch it is asked again"
