"""A server on a clock that runs faster than the machine's, in a process of its own."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.context import ForkServerContext, ForkServerProcess

from services.xcom.server import Config, build

_START = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class FastClock:
    """`speed` seconds a second, the same moment in every process that was told of `began`."""

    began: float
    speed: float

    def now(self) -> datetime:
        return _START + timedelta(seconds=(time.time() - self.began) * self.speed)

    def monotonic(self) -> float:
        return time.monotonic() * self.speed

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(seconds, 0.0) / self.speed)


def context() -> ForkServerContext:
    """Its processes begin with everything imported."""
    made = multiprocessing.get_context("forkserver")
    made.set_forkserver_preload(["services.xcom.server", "tests.chaos.fast_clock"])
    return made


def started(
    made: ForkServerContext, settings: Mapping[str, object], clock: FastClock
) -> ForkServerProcess:
    """A process of xcom that nobody waits for."""
    process = made.Process(target=_serve, args=(dict(settings), clock), daemon=True)
    process.start()
    return process


def _serve(settings: Mapping[str, object], clock: FastClock) -> None:
    asyncio.run(_run(Config.model_validate(settings), clock))


async def _run(config: Config, clock: FastClock) -> None:
    async with build(config, clock):
        await asyncio.Event().wait()
