"""The pushed clock stands still until told."""

import asyncio
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

from shared.clock import PushedClock, SystemClock

START = datetime(2026, 1, 1, tzinfo=UTC)


async def test_a_sleeper_wakes_when_its_time_has_come_and_not_before() -> None:
    clock = PushedClock(START)
    sleeper = asyncio.create_task(clock.sleep(10))
    await asyncio.sleep(0)
    clock.advance(9.9)
    await asyncio.sleep(0)
    assert not sleeper.done()
    assert clock.sleeping_count == 1
    clock.advance(0.1)
    await sleeper
    assert clock.now() == START + timedelta(seconds=10)


async def test_stepping_the_wall_time_wakes_nobody() -> None:
    clock = PushedClock(START)
    sleeper = asyncio.create_task(clock.sleep(1))
    await asyncio.sleep(0)
    clock.set_time(START + timedelta(days=1))
    await asyncio.sleep(0)
    assert not sleeper.done()
    assert clock.monotonic() == 0.0
    sleeper.cancel()


async def test_a_cancelled_sleeper_is_forgotten() -> None:
    clock = PushedClock(START)
    sleeper = asyncio.create_task(clock.sleep(1))
    await asyncio.sleep(0)
    sleeper.cancel()
    await asyncio.sleep(0)
    assert clock.sleeping_count == 0
    clock.advance(2)


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        PushedClock(datetime(2026, 1, 1))


def test_time_does_not_run_backwards() -> None:
    with pytest.raises(ValueError, match="backwards"):
        PushedClock(START).advance(-1)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the monotonic clock counts it")
def test_the_time_in_which_the_machine_is_suspended_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    # As on a machine that was awake for a minute since its start, and then slept for an hour.
    seconds = {time.CLOCK_MONOTONIC: 60.0, time.CLOCK_BOOTTIME: 3660.0}
    monkeypatch.setattr(time, "clock_gettime", seconds.__getitem__)
    assert SystemClock().monotonic() == 3660.0


async def test_a_sleeper_wakes_soon_after_a_machine_that_slept_past_its_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    # Half a minute after it went to sleep for an hour the machine is suspended for a night.
    seconds = iter([0.0, 30.0, 28_800.0])
    monkeypatch.setattr(time, "clock_gettime", lambda _: next(seconds))
    monkeypatch.setattr(asyncio, "sleep", sleep)
    await SystemClock().sleep(3600.0)
    assert slept == [30.0, 30.0]


async def test_the_system_clock_is_aware_and_sleeps() -> None:
    clock = SystemClock()
    before = clock.monotonic()
    await clock.sleep(0.01)
    assert clock.monotonic() - before >= 0.009
    assert clock.now().tzinfo is UTC
