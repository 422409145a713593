"""How much at once, in all and by one client: what is refused here leaves room for everybody
else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from shared.errors import Exhausted

_RETRY = timedelta(seconds=3)


class Limit:
    """Counts what is held. `reason` is told to whoever is refused."""

    def __init__(self, reason: str, things: str, *, most: int, most_of_one: int) -> None:
        self.count = 0
        self._reason = reason
        self._things = things
        self._most = most
        self._most_of_one = most_of_one
        self._of: Counter[str] = Counter()

    def take(self, client: str, amount: int = 1) -> None:
        """Raises Exhausted when that is too much; what is taken is given back by `give`."""
        if self._of[client] + amount > self._most_of_one:
            raise self._full(f"{self._most_of_one} {self._things} of one client")
        if self.count + amount > self._most:
            raise self._full(f"{self._most} {self._things}")
        self.count += amount
        self._of[client] += amount

    def give(self, client: str, amount: int = 1) -> None:
        self.count -= amount
        self._of[client] -= amount
        if self._of[client] <= 0:
            del self._of[client]

    @contextmanager
    def held(self, client: str) -> Iterator[None]:
        """One, as long as the block lasts."""
        self.take(client)
        try:
            yield
        finally:
            self.give(client)

    def _full(self, most: str) -> Exhausted:
        return Exhausted(
            self._reason, f"no more than {most} at once; try again", retry_after=_RETRY
        )
