"""LISTEN: what this and other processes say about work, progress, cancels and the lease.

Nobody relies on it alone: a lost notice costs time, never a cycle.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial

from services.cyclone.store.rows import NOTIFY_CHANNEL
from shared.database.listen import listen
from shared.database.pool import Database
from shared.lifecycle import Endless

Subscriber = Callable[[str], None]


class Listener:
    """A Part with one connection. Subscribers get each notice, "" when some may be missed."""

    def __init__(self, database: Database) -> None:
        self._subscribers: set[Subscriber] = set()
        listening = Endless("listener", partial(listen, database, NOTIFY_CHANNEL, self._publish))
        self.name, self.failed = listening.name, listening.failed
        self.start, self.stop = listening.start, listening.stop

    @contextmanager
    def subscribed(self, subscriber: Subscriber) -> Iterator[None]:
        self._subscribers.add(subscriber)
        try:
            yield
        finally:
            self._subscribers.discard(subscriber)

    def on(self, words: Collection[str], wake: Callable[[], None]) -> None:
        """Calls `wake` for these notices as long as it lives."""
        self._subscribers.add(lambda word: wake() if word in words else None)

    def _publish(self, word: str) -> None:
        for subscriber in tuple(self._subscribers):
            subscriber(word)
