"""Whether a host may be asked now: failures in a row, limits and bans."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from shared.clock import Clock
from shared.http.failure import FailureKind, ProviderFailure
from shared.http.retry_after import MOST_SECONDS

FAILURES_IN_A_ROW = 5
OPEN_SECONDS = 30.0
# A refusal may be a slip: it is looked at again soon, and less often the longer it lasts.
REFUSED_SECONDS = (60.0, 300.0, MOST_SECONDS)

_OF_THE_HOST = frozenset(
    {FailureKind.TIMEOUT, FailureKind.CONNECT, FailureKind.SERVER_ERROR, FailureKind.BAD_BODY}
)
_LIMITS = frozenset({FailureKind.RATE_LIMITED, FailureKind.BANNED})
_MOST_SUBJECTS = 10_000
_MOST_PARTS = 1_000


@dataclass(slots=True)
class _Gate:
    """Shut until a monotonic second, and why; `refusals` in a row, `forced` calls that went through
    it.
    """

    until_seconds: float = float("-inf")
    kind: FailureKind = FailureKind.CIRCUIT_OPEN
    status: int | None = None
    refusals: int = 0
    forced: int = 0

    def shut(self, kind: FailureKind, until_seconds: float, status: int | None) -> None:
        if until_seconds > self.until_seconds:
            self.until_seconds, self.kind, self.status = until_seconds, kind, status


class Circuit:
    """Shut for a while after failures in a row, a limit, a ban or a refusal; all times are
    monotonic.

    A refusal (401, 403, 451) of what was asked for one subject shuts the circuit to that subject
    alone; limits, bans and failures are the host's. After failures and refusals of the host one
    probe goes through first; only its success lets the others follow. A part has a circuit of its
    own for its failures; a limit or ban of one is the host's, and stops all of them.
    """

    def __init__(self, name: str, clock: Clock, whole: "Circuit | None" = None) -> None:
        self._name = name
        self._clock = clock
        self._whole = whole
        self._parts: dict[str, Circuit] = {}
        self._failures = 0
        self.own = _Gate()
        # Apart from failures, which are a part's own: a shorter limit is still one for all parts.
        self.limit = _Gate()
        self._subjects: dict[str, _Gate] = {}
        self._half_open = False
        self._probing = False

    def part(self, name: str) -> "Circuit":
        """The circuit of a part of the host; itself for an empty name. At most so many are kept,
        those that were made last.
        """
        if not name:
            return self
        if name not in self._parts:
            self._parts[name] = Circuit(self._name, self._clock, self)
            if len(self._parts) > _MOST_PARTS:
                del self._parts[next(iter(self._parts))]
        return self._parts[name]

    @property
    def shut(self) -> bool:
        """Whether nobody is let through."""
        return self._is_shut(self._longest)

    @property
    def _longest(self) -> _Gate:
        """Which of those that stop everybody is shut the longest."""
        gates = (self.own, self.limit, *([self._whole.limit] if self._whole else []))
        return max(gates, key=lambda gate: gate.until_seconds)

    def shut_for(self, subject: str) -> bool:
        """Whether this one is not let through now."""
        return self._is_shut(self._gate(subject))

    def forced(self, subject: str) -> int:
        """How many calls were forced through the gate that stops this one, and have ended."""
        return self._gate(subject).forced

    @contextmanager
    def passage(self, subject: str = "", *, forced: bool = False) -> Iterator[None]:
        """Around one attempt: raises ProviderFailure when shut and not forced, learns from how it
        ends.
        """
        if not forced:
            self._refuse_when_shut(subject)
        gate = self._gate(subject)
        probe = self._half_open
        self._probing = self._probing or probe
        try:
            yield
        except ProviderFailure as failure:
            waits_seconds = self._learn(failure, subject, forced=forced)
            if waits_seconds is None:
                raise
            raise self._told(failure, waits_seconds, subject) from failure
        else:
            self._subjects.pop(subject, None)
            self.own.refusals = 0
            if forced:
                for shut in (gate, self.own, self.limit):
                    shut.until_seconds = float("-inf")
            self._close()
        finally:
            if probe:
                self._probing = False
            if forced:
                gate.forced += 1

    def _gate(self, subject: str) -> _Gate:
        """The one that stops this subject: the host's when that is shut."""
        return self._longest if self.shut else self._subjects.get(subject, self.own)

    def _is_shut(self, gate: _Gate) -> bool:
        return self._clock.monotonic() < gate.until_seconds

    def _refuse_when_shut(self, subject: str) -> None:
        gate = self._gate(subject)
        if self._is_shut(gate):
            seconds = gate.until_seconds - self._clock.monotonic()
            said = f"is not asked for another {seconds:.0f} s"
            if gate is self._subjects.get(subject):
                said = (
                    f"refused this one (HTTP {gate.status}) and is asked again in {seconds:.0f} s"
                )
            raise ProviderFailure(
                gate.kind,
                f"{self._name} {said}",
                status=gate.status,
                retry_after=timedelta(seconds=seconds),
            )
        if self._half_open and self._probing:
            raise ProviderFailure(FailureKind.CIRCUIT_OPEN, f"{self._name} is being probed")

    def _learn(self, failure: ProviderFailure, subject: str, *, forced: bool) -> float | None:
        """For how long this failure shuts the circuit, None when it does not."""
        if failure.kind in _LIMITS:
            self._close()
            wait = failure.retry_after or timedelta(seconds=OPEN_SECONDS)
            return self._shut((self._whole or self).limit, failure, wait.total_seconds())
        if failure.kind is FailureKind.REFUSED:
            return self._refused(failure, subject)
        if failure.kind in _OF_THE_HOST:
            self._count(forced=forced)
        else:
            # An answer that says no is still the answer of a host that works.
            self._close()
        return None

    def _refused(self, failure: ProviderFailure, subject: str) -> float:
        if subject:
            # The host answers, if only with a no: nothing it did before stands against it.
            self._close()
            gate = self._subjects.pop(subject, _Gate())
            self._subjects[subject] = gate
            if len(self._subjects) > _MOST_SUBJECTS:
                del self._subjects[next(iter(self._subjects))]
        else:
            gate, self._half_open = self.own, True
        gate.refusals += 1
        seconds = REFUSED_SECONDS[min(gate.refusals, len(REFUSED_SECONDS)) - 1]
        return self._shut(gate, failure, seconds)

    def _count(self, *, forced: bool) -> None:
        self._failures += 1
        if self._half_open or forced or self._failures >= FAILURES_IN_A_ROW:
            self._half_open = True
            self.own.shut(FailureKind.CIRCUIT_OPEN, self._clock.monotonic() + OPEN_SECONDS, None)

    def _close(self) -> None:
        self._failures = 0
        self._half_open = False

    def _shut(self, gate: _Gate, failure: ProviderFailure, seconds: float) -> float:
        gate.shut(failure.kind, self._clock.monotonic() + seconds, failure.status)
        return seconds

    def _told(self, failure: ProviderFailure, seconds: float, subject: str) -> ProviderFailure:
        """The failure with the wait it costs, and whom."""
        whom = "for this one" if subject and failure.kind is FailureKind.REFUSED else "for anybody"
        return ProviderFailure(
            failure.kind,
            f"{failure.message}; it is not asked {whom} for {seconds:.0f} s",
            status=failure.status,
            retry_after=timedelta(seconds=seconds),
            body=failure.body,
        )
