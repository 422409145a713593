"""Receipts on their way into the database: those that come while one is written are written
together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from services.xcom.store.queue import Receipt
from shared.errors import SonicError

_MOST = 100


class Receipts:
    """`write` is one statement for all that come within `gather_seconds`, or during one before."""

    def __init__(
        self, write: Callable[[Sequence[Receipt]], Awaitable[None]], gather_seconds: float = 0.0
    ) -> None:
        self._write = write
        self._gather_seconds = gather_seconds
        self._waiting: list[tuple[Receipt, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def add(self, receipt: Receipt) -> None:
        """Returns when it is committed; raises what kept it from being."""
        written = asyncio.get_running_loop().create_future()
        self._waiting.append((receipt, written))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_all(), name="receipts")
        await written

    async def _write_all(self) -> None:
        # Others that end soon go along.
        await asyncio.sleep(self._gather_seconds)
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
                await self._write_batch(batch)
        finally:
            self._writer = None

    async def _write_batch(self, batch: Sequence[tuple[Receipt, asyncio.Future[None]]]) -> None:
        try:
            await self._write([receipt for receipt, _ in batch])
        except Exception as error:  # noqa: BLE001  whoever waits for the receipt hears of it
            if len(batch) > 1 and not isinstance(error, SonicError):
                # One of them cannot be written: the others must not suffer.
                for one in batch:
                    await self._write_batch([one])
                return
            for _, written in batch:
                if not written.done():
                    written.set_exception(error)
            return
        for _, written in batch:
            if not written.done():
                written.set_result(None)
