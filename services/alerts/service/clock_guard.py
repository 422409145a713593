"""The time that silences and cooldowns are judged by: no step of the machine's clock moves it."""

from __future__ import annotations

from shared.clock import Clock
from shared.log import get_logger

# A difference up to this is drift, or the clock being put right: it is followed.
_DRIFT_SECONDS = 60.0


class ClockGuard:
    """The wall clock as long as it runs evenly; after a step, what it would have shown."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset_seconds = self._difference()
        self._stepped = False

    def micros(self) -> int:
        """Microseconds since 1970."""
        difference = self._difference()
        step = difference - self._offset_seconds
        if abs(step) <= _DRIFT_SECONDS:
            self._offset_seconds, self._stepped = difference, False
        elif not self._stepped:
            self._stepped = True
            get_logger().warning(
                "the clock stepped; silences and cooldowns keep their time", seconds=step
            )
        return round((self._clock.monotonic() + self._offset_seconds) * 1_000_000)

    def _difference(self) -> float:
        return self._clock.now().timestamp() - self._clock.monotonic()
