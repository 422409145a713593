"""What goes on beside the servers begins again when it ended though nobody stopped it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from services.cli.steady import Steady
from shared.clock import PushedClock

NIGHT = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)


@pytest.fixture
def clock() -> PushedClock:
    return PushedClock(NIGHT)


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class Work:
    """Ends as told; begun so often."""

    def __init__(self) -> None:
        self.begin_count = 0
        self.end: asyncio.Future[None]

    async def go_on(self) -> None:
        self.begin_count += 1
        self.end = asyncio.get_running_loop().create_future()
        await self.end


async def test_it_begins_again_later_and_later_until_it_went_on_for_long(
    clock: PushedClock,
) -> None:
    work, said = Work(), list[str]()
    async with Steady("room", work.go_on, said.append, clock):
        for number, (healthy_seconds, pause_seconds) in enumerate(((0, 0.5), (0, 1), (61, 0.5)), 1):
            await turns()
            clock.advance(healthy_seconds)
            # As one whose answer was taken back is met, and as a fault is.
            work.end.cancel() if number == 1 else work.end.set_exception(OSError("disk"))
            await turns()
            clock.advance(pause_seconds)
            await turns()
            assert work.begin_count == number + 1
    assert said == [
        "room ended (CancelledError()); again in 0.5 s",
        "room ended (OSError('disk')); again in 1 s",
        "room ended (OSError('disk')); again in 0.5 s",
    ]


async def test_it_does_not_begin_again_after_its_own_end_or_once_stopped(
    clock: PushedClock,
) -> None:
    work, said = Work(), list[str]()
    ended = Steady("ended", work.go_on, said.append, clock)
    await turns()
    work.end.set_result(None)
    await turns()
    stopped = Steady("stopped", work.go_on, said.append, clock)
    await turns()
    work.end.set_exception(OSError("disk"))
    await asyncio.gather(stopped.stop(), ended.stop())
    clock.advance(60)
    await turns()
    assert (work.begin_count, said) == (2, [])
