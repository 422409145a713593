"""LISTEN on one connection that is kept: what any process says by NOTIFY, until cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from shared.backoff import backoff_seconds
from shared.database.pool import Database
from shared.log import get_logger

_FIRST_RETRY_SECONDS = 0.5
_LONGEST_RETRY_SECONDS = 10.0


async def listen(database: Database, channel: str, hear: Callable[[str], None]) -> None:
    """Hands every word to `hear`, and "" after each connection: some may have been missed before
    it.

    Ends only when cancelled: whatever breaks the connection is logged, and tried again after half a
    second and then ever later, ten seconds at most. Takes one connection of `database` for itself.
    """
    failures = 0

    def connected() -> None:
        nonlocal failures
        failures = 0
        hear("")

    while True:
        try:
            await _until_lost(database, channel, hear, connected)
        except Exception as error:  # noqa: BLE001  # who stopped listening would never be woken again
            get_logger().warning("not listening", channel=channel, problem=type(error).__name__)
        failures += 1
        await asyncio.sleep(backoff_seconds(failures, _FIRST_RETRY_SECONDS, _LONGEST_RETRY_SECONDS))


async def _until_lost(
    database: Database, channel: str, hear: Callable[[str], None], connected: Callable[[], None]
) -> None:
    lost = asyncio.Event()
    async with database.transaction("AUTOCOMMIT") as transaction:
        driver = transaction.driver

        def heard(_connection: object, _pid: int, _channel: str, payload: object) -> None:
            hear(str(payload))

        def end(_connection: object) -> None:
            lost.set()

        driver.add_termination_listener(end)
        await driver.add_listener(channel, heard)
        try:
            connected()
            await lost.wait()
        finally:
            driver.remove_termination_listener(end)
            if not driver.is_closed():
                await driver.remove_listener(channel, heard)
