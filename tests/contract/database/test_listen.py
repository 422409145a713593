"""A listener outlives whatever breaks its connection, and says after each new one that words were
missed.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager

import asyncpg
import pytest

from services.cyclone.store.listener import Listener
from services.cyclone.store.rows import NOTIFY_CHANNEL
from shared.database.pool import Database, Isolation
from shared.database.transaction import Transaction
from tests.fakes.databases import Databases


class Cut(Database):
    """The first connection breaks in the driver's own words, as when it is cut while LISTEN is on
    its way.
    """

    problem: Exception | None = None

    def transaction(
        self, isolation: Isolation | None = None
    ) -> AbstractAsyncContextManager[Transaction]:
        problem, self.problem = self.problem, None
        if problem is not None:
            raise problem
        return super().transaction(isolation)


@pytest.mark.parametrize(
    "problem",
    [
        asyncpg.InterfaceError("connection is closed"),
        ConnectionResetError(),
        RuntimeError("what nobody thought of"),
    ],
)
async def test_words_are_heard_after_the_connection_broke(
    databases: Databases, problem: Exception
) -> None:
    database, heard = Cut(databases.url("cyclone")), list[str]()
    database.problem = problem
    listener = Listener(database)
    await database.start()
    await listener.start()
    speaker = await asyncpg.connect(databases.url("cyclone"))
    try:
        with listener.subscribed(heard.append):
            async with asyncio.timeout(45):
                while "" not in heard:
                    await asyncio.sleep(0.02)
                await speaker.execute(f"notify {NOTIFY_CHANNEL}, 'work'")
                while "work" not in heard:
                    await asyncio.sleep(0.02)
                await speaker.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity"
                    " where usename = current_user and pid <> pg_backend_pid()"
                )
                while heard.count("") < 2:
                    await asyncio.sleep(0.02)
    finally:
        await listener.stop()
        await speaker.close()
        await database.stop()
