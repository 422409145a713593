"""Whether a host may be asked now: failures in a row, limits and bans; knows nothing of HTTP."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from shared.clock import Clock
from shared.http.failure import FailureKind, ProviderFailure

FAILURES_IN_A_ROW = 5
OPEN_SECONDS = 30.0
REFUSED_SECONDS = 3600.0

_OF_THE_HOST = frozenset(
    {FailureKind.TIMEOUT, FailureKind.CONNECT, FailureKind.SERVER_ERROR, FailureKind.BAD_BODY}
)
_LIMITS = frozenset({FailureKind.RATE_LIMITED, FailureKind.BANNED})


class Circuit:
    """Shut for a while after failures in a row, a limit, a ban or a refusal; all times are monotonic.

    After failures and refusals one probe goes through first; only its success lets the others follow.
    """

    def __init__(self, name: str, clock: Clock) -> None:
        self._name = name
        self._clock = clock
        self._failures = 0
        self._shut_until_seconds = float("-inf")
        self._kind = FailureKind.CIRCUIT_OPEN
        self._status: int | None = None
        self._half_open = False
        self._probing = False

    @property
    def shut(self) -> bool:
        return self._clock.monotonic() < self._shut_until_seconds

    @contextmanager
    def passage(self) -> Iterator[None]:
        """Around one attempt: raises ProviderFailure when shut, learns from how the attempt ends."""
        self._refuse_when_shut()
        probe = self._half_open
        self._probing = self._probing or probe
        try:
            yield
        except ProviderFailure as failure:
            self._learn(failure)
            raise
        else:
            self._close()
        finally:
            if probe:
                self._probing = False

    def _refuse_when_shut(self) -> None:
        if self.shut:
            seconds = self._shut_until_seconds - self._clock.monotonic()
            raise ProviderFailure(
                self._kind,
                f"{self._name} is not asked for another {seconds:.0f} s",
                status=self._status,
                retry_after=timedelta(seconds=seconds),
            )
        if self._half_open and self._probing:
            raise ProviderFailure(FailureKind.CIRCUIT_OPEN, f"{self._name} is being probed")

    def _learn(self, failure: ProviderFailure) -> None:
        if failure.kind in _LIMITS:
            self._close()
            wait = failure.retry_after or timedelta(seconds=OPEN_SECONDS)
            self._shut(failure.kind, wait.total_seconds(), failure.status)
        elif failure.kind is FailureKind.REFUSED:
            self._half_open = True
            self._shut(failure.kind, REFUSED_SECONDS, failure.status)
        elif failure.kind in _OF_THE_HOST:
            self._count()
        else:
            # An answer that says no is still the answer of a host that works.
            self._close()

    def _count(self) -> None:
        self._failures += 1
        if self._half_open or self._failures >= FAILURES_IN_A_ROW:
            self._half_open = True
            self._shut(FailureKind.CIRCUIT_OPEN, OPEN_SECONDS, None)

    def _close(self) -> None:
        self._failures = 0
        self._half_open = False

    def _shut(self, kind: FailureKind, seconds: float, status: int | None) -> None:
        until = self._clock.monotonic() + seconds
        if until > self._shut_until_seconds:
            self._shut_until_seconds, self._kind, self._status = until, kind, status
