"""All servers in one process: one in which something ended is stopped and started again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.cli import system
from services.cli.plan import GATEWAY, Plan
from services.cli.within import Within
from shared.clock import PushedClock
from shared.lifecycle import App, Loop
from tests.contract.cli.conftest import pushed
from tests.contract.cli.test_keeper import Told
from tests.fakes.databases import Databases

START = datetime(2026, 11, 20, tzinfo=UTC)


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(45):
        while not holds():
            await asyncio.sleep(0.01)


def task(name: str) -> asyncio.Task[object] | None:
    return next((one for one in asyncio.all_tasks() if one.get_name() == name), None)


@pytest.mark.parametrize(
    ("name", "part", "loop"),
    [("xcom", "xcom high", "xcom high"), (GATEWAY, "HttpServer", "http")],
)
async def test_a_server_whose_loop_ended_is_started_again_where_it_was(
    databases: Databases, tmp_path: Path, said: list[str], name: str, part: str, loop: str
) -> None:
    serving = system.in_one_process(
        Plan(sonic_home=tmp_path),
        {"xcom": databases.url("xcom")},
        said.append,
        listens={"xcom": "127.0.0.1:0", GATEWAY: "127.0.0.1:0"},
    )
    async with serving as addresses, system.HealthClient() as asking:
        ended = task(loop)
        assert ended
        ended.cancel()
        await until(lambda: f"{name} is up again" in said)
        assert said[1:] == [f"{name} ended ({part}); again in 0.5 s", f"{name} is up again"]
        assert task(loop) not in (None, ended)
        assert await asking.readiness(addresses["xcom"], 10) == (True, None)


async def test_memory_is_given_back_also_after_that_has_ended(
    tmp_path: Path, said: list[str]
) -> None:
    serving = system.in_one_process(Plan(sonic_home=tmp_path), {}, said.append, listens={})
    async with serving:
        ended = task("memory")
        assert ended
        ended.cancel()
        await until(lambda: "memory is up again" in said)
        assert task("memory") not in (None, ended)


class Server:
    """One that can be built: `refused` is what keeps the next ones from it."""

    def __init__(self, *refused: BaseException) -> None:
        self.refused = list(refused)
        self.loops: list[Loop] = []
        self.clock = PushedClock(START)

    def build(self) -> App:
        if self.loops and self.refused:
            raise self.refused.pop(0)
        self.loops.append(Loop(f"work {len(self.loops)}", self._rest, self.clock))
        return App("x", [self.loops[-1]])

    async def _rest(self) -> float:
        return 3600.0

    def end(self) -> None:
        """What goes on in the newest ends for good."""
        ended = task(self.loops[-1].name)
        assert ended
        ended.cancel()


async def test_one_that_cannot_be_started_again_is_told_once_and_when_it_is_over(
    said: list[str], clock: PushedClock
) -> None:
    server, told = Server(SystemExit(2), OSError("port taken")), Told()
    async with Within("x", server.build, said.append, clock, told):
        await until(lambda: task("work 0"))
        server.end()
        await pushed(clock, lambda: "x is up again" in said)
    assert said == [
        "x ended (work 0); again in 0.5 s",
        "x refuses its settings; again in 1 s",
        "x cannot start: OSError('port taken'); again in 2 s",
        "x is up again",
    ]
    assert told.subjects == [
        "Sonic's x is down: it refuses its settings",
        "Sonic's x is up again",
    ]
    assert len(server.loops) == 2


async def test_one_that_ends_again_and_again_waits_longer_until_it_is_healthy(
    said: list[str], clock: PushedClock
) -> None:
    server, told = Server(), Told()
    async with Within("x", server.build, said.append, clock, told):
        for number, healthy_seconds in enumerate((0.0, 0.0, 61.0)):
            await until(lambda: task(f"work {len(server.loops) - 1}"))
            clock.advance(healthy_seconds)
            server.end()
            await pushed(clock, lambda: said.count("x is up again") == number + 1)  # noqa: B023  # waited for at once
    assert [line for line in said if "again in" in line] == [
        "x ended (work 0); again in 0.5 s",
        "x ended (work 1); again in 1 s",
        "x ended (work 2); again in 0.5 s",
    ]
    assert told.subjects == []


async def test_one_is_looked_after_also_when_that_was_cancelled(
    said: list[str], clock: PushedClock
) -> None:
    server = Server(asyncio.CancelledError())
    told = Told()
    async with Within("x", server.build, said.append, clock, told):
        for _ in range(2):
            looking = task("keep-x")
            assert looking
            looking.cancel()
            await until(lambda: task("keep-x") not in (None, looking))  # noqa: B023  # waited for at once
        assert len(server.loops) == 1
        server.end()
        await pushed(clock, lambda: "x is up again" in said)
    assert said == [
        "keep-x ended (CancelledError()); again in 0.5 s",
        "keep-x ended (CancelledError()); again in 1 s",
        "x ended (work 0); again in 0.5 s",
        "x cannot start: CancelledError(); again in 1 s",
        "x is up again",
    ]
    assert len(told.subjects) == 2


async def test_one_whose_start_again_was_cancelled_is_started_all_the_same(
    said: list[str], clock: PushedClock
) -> None:
    server = Server()
    async with Within("x", server.build, said.append, clock, None):
        server.end()
        await until(lambda: said)
        looking = task("keep-x")
        assert looking
        looking.cancel()
        await pushed(clock, lambda: "x is up again" in said)
    assert len(server.loops) == 2


async def test_one_that_waits_to_be_started_again_stops_with_the_others(
    said: list[str], clock: PushedClock
) -> None:
    server = Server()
    async with Within("x", server.build, said.append, clock, None):
        await until(lambda: task("work 0"))
        server.end()
        await until(lambda: said)
    assert len(server.loops) == 1
    assert task("keep-x") is None
