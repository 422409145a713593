"""What is told of every call that is made from here; until somebody wants to hear, nobody is: a
command line counts nothing and loads nothing for it.
"""

from typing import Protocol


class Observer(Protocol):
    """Who wants to hear; see shared.metrics.Metrics."""

    def called(self, method: str, code: str, seconds: float) -> None:
        """An RPC of this full name ended with this status code."""
        ...

    def asked(self, provider: str, outcome: str, *, is_shut: bool) -> None:
        """A provider answered (OK) or did not; whether its circuit is shut now."""
        ...


class _Nobody:
    def called(self, method: str, code: str, seconds: float) -> None:
        """Nobody hears."""

    def asked(self, provider: str, outcome: str, *, is_shut: bool) -> None:
        """Nobody hears."""


observer: Observer = _Nobody()


def observed_by(one: Observer) -> None:
    """From now on this one hears of every call."""
    global observer  # noqa: PLW0603  # one for the process, as its metrics are
    observer = one
