"""After the first cycle since a restore people hear of it, once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from services.cyclone.domain.cycle import Event, Severity
from services.cyclone.restores.domain import RestoreMessage, restore_message
from services.cyclone.restores.store import RestoreStore
from shared.clock import Clock
from shared.errors import AlreadyExists, SonicError
from shared.log import get_logger

Begin = Callable[[], AbstractAsyncContextManager[RestoreStore]]
_AGAIN_SECONDS = 10.0
# Nobody restores under a running system.
_RARELY_SECONDS = 86_400.0


class RestoreOutbox(Protocol):
    """Who tells people."""

    async def send(self, message: RestoreMessage) -> None:
        """Once a request id. Raises SonicError."""
        ...


class RestoreTeller:
    """`turn` is for a loop."""

    def __init__(self, begin: Begin, outbox: RestoreOutbox, clock: Clock) -> None:
        self._begin = begin
        self._outbox = outbox
        self._clock = clock

    async def turn(self) -> float:
        """The seconds until the next look."""
        async with self._begin() as store:
            restore = await store.waiting()
        if restore is None:
            return _RARELY_SECONDS
        if restore.cycle_state is None:
            return _AGAIN_SECONDS
        message = restore_message(restore)
        try:
            await self._outbox.send(message)
        except AlreadyExists:
            # By another process, whose word of it was lost.
            pass
        except SonicError as error:
            get_logger().warning("restore not told", reason=error.reason, words=error.message)
            return _AGAIN_SECONDS
        now = self._clock.now()
        line = Event(now, Severity.WARNING, "restore", message.body, restore.cycle_id)
        async with self._begin() as store:
            await store.told(restore.id, now, line)
        return _RARELY_SECONDS
