"""What is looked at: one thing after the other, each so often that its stacks say something."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from sonic.positions.v1 import positions_pb2, positions_pb2_grpc
from sonic.xcom.v1 import xcom_pb2_grpc

from services.cli.connection import System, connected
from tests.bench import crash, cycles, notifications, notifications_receiver, pages
from tests.bench.judging import Judging, evaluation
from tests.bench.notifications_receiver import Receiver
from tests.bench.profile.servers import Looked, Looking, looking
from tests.bench.running import say

_WARM_CYCLES = 3
_AT_ONCE = 16
_TOLD_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Sizes:
    """Positions held, and how often each thing is done while it is looked at."""

    positions: int = 10_000
    cycles: int = 10
    reads: int = 2000
    pages: int = 200
    notifications: int = 400


@dataclass(frozen=True, slots=True)
class Part:
    """One of them: `count` times it was done, `seconds` all of them took on the clock."""

    goal: str
    title: str
    unit: str
    count: int
    seconds: float
    looked: Looked


async def measured(home: Path, sizes: Sizes, seed: int) -> list[Part]:
    """The parts that a running system does."""
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        receiver = await enter(notifications_receiver.running())
        settings = {"WEBHOOK_URL": receiver.url, "WEBHOOK_SECRET": "bench"}
        watched = await enter(looking(home, settings))
        running = watched.running
        found = await enter(connected(running.addresses, running.tls))
        judging = Judging(found, running.admin_url)
        await judging.calm()
        say(f"{sizes.positions:,} positions")
        await cycles.fill(running.addresses, sizes.positions, seed=seed, tls=running.tls)
        for _ in range(_WARM_CYCLES):
            await cycles.one(found)
        looks = _Looks(watched, found, judging, receiver)
        return [
            await looks.part("G1", "a quiet cycle", "cycle", sizes.cycles, looks.quiet),
            await looks.part("G8", "reading one row", "call", sizes.reads, looks.read),
            await looks.part("G14", "a page of 100 positions", "page", sizes.pages, looks.page),
            await looks.part(
                "G10", "a notification", "notification", sizes.notifications, looks.notify
            ),
            await looks.crash(),
        ]


class _Looks:
    def __init__(
        self, watched: Looking, found: System, judging: Judging, receiver: Receiver
    ) -> None:
        self._watched = watched
        self._found = found
        self._judging = judging
        self._receiver = receiver

    async def part(
        self,
        goal: str,
        title: str,
        unit: str,
        count: int,
        done: Callable[[int], Awaitable[None]],
    ) -> Part:
        """`done(count)` does it so often."""
        say(title)
        # What is made at a first time is no part of it.
        await done(max(1, count // 20))
        await self._watched.begin()
        began = time.perf_counter()
        await done(count)
        seconds = time.perf_counter() - began
        return Part(goal, title, unit, count, seconds, await self._watched.end())

    async def crash(self) -> Part:
        """Once: a second one would be another, with alerts that were raised before."""
        say("a crash cycle")
        await self._judging.crash(len(crash.LEVELS))
        await self._watched.begin()
        began = time.perf_counter()
        cycle = await cycles.ended(self._found)
        seconds = time.perf_counter() - began
        raised = evaluation(cycle).counts["raised"]
        title = f"a crash cycle: {raised:,} levels change"
        return Part("G7", title, "cycle", 1, seconds, await self._watched.end())

    async def quiet(self, count: int) -> None:
        for _ in range(count):
            await cycles.one(self._found)

    async def read(self, count: int) -> None:
        stub = await self._found.stub("positions", positions_pb2_grpc.PositionsServiceStub)
        listed = await stub.ListPositions(positions_pb2.ListPositionsRequest(page_size=1))
        request = positions_pb2.GetPositionRequest(id=listed.positions[0].id)
        for _ in range(count):
            await stub.GetPosition(request)

    async def page(self, count: int) -> None:
        async with pages.connection(self._watched.running.http_address) as ours:
            for _ in range(count):
                await ours.get(pages.PAGES["100 positions"])

    async def notify(self, count: int) -> None:
        stub = await self._found.stub("xcom", xcom_pb2_grpc.XComServiceStub)
        await self._receiver.reset()
        first = time.time_ns()
        numbers = iter(range(first, first + count))

        async def sender() -> None:
            for number in numbers:
                await notifications.send(stub, number)

        await asyncio.gather(*(sender() for _ in range(_AT_ONCE)))
        async with asyncio.timeout(_TOLD_SECONDS):
            while (await self._receiver.received()).count < count:
                await asyncio.sleep(0.02)
