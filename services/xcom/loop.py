"""Works a queue: claims together what came together, sends several at once, looks again when woken
or when something is due.
"""

from __future__ import annotations

import asyncio

from services.xcom.deliveries.service.deliveries import DeliveryService
from services.xcom.domain.messages import DeliveryAttempt
from shared.clock import Clock
from shared.lifecycle import Loop
from shared.log import get_logger

# What comes so soon after a claim is claimed together: the first of a burst goes at once.
_GATHER_SECONDS = 0.02


class Worker:
    """A Part. Sends in flight at the end get `grace_seconds`.

    What is cut short then is tried again when its claim has run out.
    """

    def __init__(
        self, name: str, deliveries: DeliveryService, clock: Clock, *, grace_seconds: float = 1.5
    ) -> None:
        self.deliveries = deliveries
        self._grace_seconds = grace_seconds
        self._loop = Loop(f"xcom {name}", self._turn, clock, grace_seconds=grace_seconds)
        self.name, self.failed = self._loop.name, self._loop.failed
        self._sending: dict[str, DeliveryAttempt] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._next_claim = 0.0
        self._left_some = False

    async def start(self) -> None:
        await self._loop.start()

    async def stop(self) -> None:
        await self._loop.stop()
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=self._grace_seconds)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)

    def wake(self) -> None:
        """Look now."""
        self._loop.wake()

    async def _turn(self) -> float:
        running = asyncio.get_running_loop()
        await asyncio.sleep(self._next_claim - running.time())
        claimed = await self.deliveries.claim(self._sending)
        self._left_some = claimed.left_some
        if claimed.attempts:
            self._next_claim = running.time() + _GATHER_SECONDS
        for attempt in claimed.attempts:
            self._sending[attempt.delivery_id] = attempt
            task = asyncio.create_task(self._send(attempt), name=f"delivery {attempt.delivery_id}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return claimed.pause_seconds

    async def _send(self, attempt: DeliveryAttempt) -> None:
        look_again = True
        try:
            look_again = await self.deliveries.deliver(attempt)
        except Exception as error:  # noqa: BLE001  the claim runs out and the delivery is tried again
            get_logger().error("delivery broke off", delivery=attempt.delivery_id, exc_info=error)
        finally:
            del self._sending[attempt.delivery_id]
            if look_again or self._left_some:
                self._loop.wake()
