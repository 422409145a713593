"""LISTEN: wakes who waits for it when a delivery was stored by this or another process.

Nobody relies on it alone: a payload that is missed costs time, never a message.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from shared.database.listen import listen
from shared.database.pool import Database
from shared.lifecycle import Endless

# The channel of LISTEN / NOTIFY on which new deliveries are announced, and for whom.
NOTIFY_CHANNEL: Final = "xcom_delivery"
HIGH: Final = "high"
QUIET: Final = "quiet"
SOUNDS: Final = "sounds"


class Listener:
    """A Part that holds the one connection of `database`; wakes everybody after every
    (re)connection too.

    A payload says for whom it is (empty: for all) and, when its sender has woken its own already,
    who sent it.
    """

    def __init__(
        self, database: Database, own_name: str, wakes: Mapping[str, Callable[[], None]]
    ) -> None:
        self._own_name = own_name
        self._wakes = wakes
        listening = Endless("xcom listener", partial(listen, database, NOTIFY_CHANNEL, self._hear))
        self.name, self.failed = listening.name, listening.failed
        self.start, self.stop = listening.start, listening.stop

    def _hear(self, payload: str) -> None:
        wanted, _, sender = payload.partition(" ")
        if sender == self._own_name:
            return
        for name, wake in self._wakes.items():
            if wanted in ("", name):
                wake()
