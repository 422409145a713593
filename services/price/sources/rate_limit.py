"""At most so many calls in a window of time; over the limit means no call, never a wait."""

from collections import deque

from shared.clock import Clock


class RateLimit:
    """A sliding window: the n-th last call must be older than the window. `call_count` >= 1."""

    def __init__(self, call_count: int, window_seconds: float, clock: Clock) -> None:
        self._call_count = call_count
        self._window_seconds = window_seconds
        self._clock = clock
        self._calls: deque[float] = deque(maxlen=call_count)
        self._silent_until_seconds = float("-inf")

    def take(self) -> float:
        """0.0 when a call may be made (and counts), else the seconds until one may."""
        wait_seconds = self.wait_seconds()
        if wait_seconds == 0:
            self._calls.append(self._clock.monotonic())
        return wait_seconds

    def wait_seconds(self) -> float:
        """Seconds until a call may be made, 0.0 when one may now."""
        now = self._clock.monotonic()
        oldest = self._calls[0] if len(self._calls) == self._call_count else float("-inf")
        return max(oldest + self._window_seconds - now, self._silent_until_seconds - now, 0.0)

    def left(self) -> int:
        """Calls that may be made now."""
        now = self._clock.monotonic()
        if now < self._silent_until_seconds:
            return 0
        return self._call_count - sum(now - call < self._window_seconds for call in self._calls)

    def silence(self, seconds: float) -> None:
        """The provider says the limit is used up, whoever used it: nothing for so long."""
        self._silent_until_seconds = self._clock.monotonic() + seconds
