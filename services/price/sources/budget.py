"""At most so many calls in a window of time. Knows no provider; over budget means no call, never a wait."""

from collections import deque

from shared.clock import Clock


class CallBudget:
    """A sliding window: the n-th last call must be older than the window."""

    def __init__(self, call_count: int, window_seconds: float, clock: Clock) -> None:
        self._window_seconds = window_seconds
        self._clock = clock
        self._calls: deque[float] = deque(maxlen=call_count)

    def take(self) -> float:
        """0.0 when a call may be made (and counts), else the seconds until one may."""
        now = self._clock.monotonic()
        if len(self._calls) == self._calls.maxlen:
            wait_seconds = self._calls[0] + self._window_seconds - now
            if wait_seconds > 0:
                return wait_seconds
        self._calls.append(now)
        return 0.0

    def exhaust(self) -> None:
        """The provider says the budget is used up, whoever used it: nothing for a whole window."""
        now = self._clock.monotonic()
        self._calls.extend([now] * (self._calls.maxlen or 1))
