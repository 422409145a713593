"""The database killed, a server that hangs, two homes on one database: the whole system."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from pathlib import Path

import pytest

from shared.errors import SonicError
from shared.postgres import EmbeddedPostgres
from tests.chaos.conftest import Up, system_of, up
from tests.e2e.test_five_cycles import cycle, state

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


async def said(running: Up, words: str, seconds: float = 60) -> str:
    """The line with these words, once it is said."""
    async with asyncio.timeout(seconds):
        while True:
            found = [line for line in running.lines if words in line]
            if found:
                return found[0]
            await asyncio.sleep(0.05)


async def whole(running: Up, seconds: float = 60) -> None:
    """A cycle that succeeds; the first ones may meet a pool that is still finding its way."""
    async with system_of(running) as servers, asyncio.timeout(seconds):
        while True:
            try:
                if state(await cycle(servers)) == "SUCCEEDED":
                    return
            except SonicError:
                await asyncio.sleep(0.2)


def postmaster(home: Path) -> int:
    return int((home / "postgres" / "postgres" / "data" / "postmaster.pid").read_text().split()[0])


@pytest.mark.parametrize("arguments", [(), ("--one-process",)], ids=["processes", "one process"])
async def test_a_killed_database_is_said_and_started_again_and_the_next_cycle_is_whole(
    home: Path, arguments: tuple[str, ...]
) -> None:
    async with up(home, {}, *arguments) as running:
        await whole(running)
        os.kill(postmaster(home), signal.SIGKILL)
        assert "died (signal SIGKILL); again in 0.5 s" in await said(running, "postgres died")
        await said(running, "postgres is back")
        await whole(running)
        assert "postgres is back" in (home / "logs" / "sonic.log").read_text()
        assert not [line for line in running.lines if "fork" in line]


async def test_a_server_that_hangs_is_said_and_replaced(home: Path) -> None:
    async with up(home, {"SONIC_HEALTH_SECONDS": "2"}) as running:
        await asyncio.sleep(3)
        running.kill("price", signal.SIGSTOP)
        await said(running, "price does not answer: 3 health checks in a row; killed")
        await said(running, "price starts again in 0.5 s")
        await whole(running)


async def test_two_homes_with_the_same_secrets_hold_on_one_database(home: Path) -> None:
    database = home / "database"
    first, second = home / "first", home / "second"
    database.mkdir(mode=0o711)
    with EmbeddedPostgres(database) as server:
        settings = {"DATABASE_URL": server.url}
        async with up(first, settings) as one:
            await whole(one)
            with pytest.raises(
                AssertionError, match="BAD_SETTINGS: the database has roles whose passwords"
            ):
                async with up(second, settings):
                    pass
            for name in ("roles.json", "ledger.key"):
                shutil.copy(first / name, second / name)
            async with up(second, settings) as two:
                for running in (one, two, one):
                    await whole(running)
