"""The system with servers that look at themselves, and what they and their Postgres used."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import psutil

from services.cli import database, system
from services.cli.early import plain_environment
from services.cli.forks import Forked, Forks
from services.cli.plan import GATEWAY, SERVICES, Plan
from shared.database.address import plain
from tests.bench import footprint
from tests.bench.profile.groups import Place, Seen
from tests.bench.running import SETTINGS, Running, environment
from tests.fakes.ports import free_settings

_TELL_SECONDS = 30.0
_BACKENDS = "select pid, usename from pg_stat_activity where backend_type = 'client backend'"


@dataclass(frozen=True, slots=True)
class Spent:
    """CPU seconds of a service: in its own process, and in its connections to Postgres."""

    python: float
    sql: float


@dataclass(frozen=True, slots=True)
class Looked:
    """What was used between two moments, by service, and where it was seen."""

    spent: Mapping[str, Spent]
    seen: Mapping[str, Seen]


class Sampled(Forks):
    """Servers as processes of their own, each a sampler: nothing of ours runs in a fork.

    The process that servers are forked from still says which variables they read.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__((*SERVICES, GATEWAY), plain_environment())
        self._folder = folder
        self._ends: set[asyncio.Task[None]] = set()
        self.pids: dict[str, int] = {}

    async def spawn(self, service: str, environment: Mapping[str, str], log_file: Path) -> Forked:
        """A server, started."""
        with log_file.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.bench.profile.sampler", service),
                str(self.file(service)),
                env={**plain_environment(), **environment, "SONIC_PARENT_PID": str(os.getpid())},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.pids[service] = process.pid
        forked = Forked(process.pid, lambda: None)
        self._ends.add(asyncio.create_task(_ended(process, forked)))
        return forked

    def file(self, service: str) -> Path:
        """Where a server writes what it counted."""
        return self._folder / f"{service}.json"


async def _ended(process: asyncio.subprocess.Process, forked: Forked) -> None:
    forked.end(await process.wait())


class Looking:
    """The running system; `begin`, and `end` with what was used and seen since."""

    def __init__(self, running: Running, sampled: Sampled) -> None:
        self.running = running
        self._sampled = sampled
        self._before: Mapping[str, Spent] = {}

    async def begin(self) -> None:
        self._before = await self._spent()
        for pid in self._sampled.pids.values():
            os.kill(pid, signal.SIGUSR1)

    async def end(self) -> Looked:
        after = await self._spent()
        files = {name: self._sampled.file(name) for name in self._sampled.pids}
        for name, pid in self._sampled.pids.items():
            files[name].unlink(missing_ok=True)
            os.kill(pid, signal.SIGUSR2)
        async with asyncio.timeout(_TELL_SECONDS):
            while not all(file.exists() for file in files.values()):
                await asyncio.sleep(0.05)
        seen = {name: read(file) for name, file in files.items()}
        return Looked(used(self._before, after), seen)

    async def _spent(self) -> dict[str, Spent]:
        """So far. Connections are kept by their pools, so their CPU only grows."""
        connection = await asyncpg.connect(plain(self.running.admin_url))
        try:
            backends = await connection.fetch(_BACKENDS)
        finally:
            await connection.close()
        sql: dict[str, list[psutil.Process]] = defaultdict(list)
        for row in backends:
            # One that was just let go is not counted.
            with suppress(psutil.NoSuchProcess):
                sql[row["usename"]].append(psutil.Process(row["pid"]))
        return {
            name: Spent(
                footprint.cpu_seconds([psutil.Process(pid)]), footprint.cpu_seconds(sql[name])
            )
            for name, pid in self._sampled.pids.items()
        }


def read(file: Path) -> Seen:
    """Stacks as a server wrote them."""
    found: dict[tuple[Place, ...], int] = {}
    for count, places in json.loads(file.read_text()):
        stack = tuple((file, line, name) for file, line, name in places)
        found[stack] = found.get(stack, 0) + count
    return found


def used(before: Mapping[str, Spent], after: Mapping[str, Spent]) -> dict[str, Spent]:
    """What each service used in between, the most expensive first."""
    nothing = Spent(0.0, 0.0)
    between = {
        name: Spent(
            now.python - before.get(name, nothing).python, now.sql - before.get(name, nothing).sql
        )
        for name, now in after.items()
    }
    return dict(sorted(between.items(), key=lambda one: -(one[1].python + one[1].sql)))


@asynccontextmanager
async def looking(home: Path, settings: Mapping[str, str]) -> AsyncIterator[Looking]:
    """The system in a home of its own, every server a process, gone with the block."""
    home.mkdir(mode=0o711)
    samples = home / "samples"
    samples.mkdir()
    given = SETTINGS | free_settings() | {"SONIC_HOME": str(home)} | dict(settings)
    with environment(given):
        plan = Plan()
        sampled = Sampled(samples)
        sampled.start()
        try:
            async with database.opened(plan) as opened:
                urls = await database.prepare(opened, plan.home)
                system.certify(plan)
                async with system.in_processes(plan, urls, lambda _: None, sampled) as addresses:
                    running = Running(addresses, urls, opened.url, plan.http_address, home)
                    yield Looking(running, sampled)
        finally:
            await sampled.stop()
